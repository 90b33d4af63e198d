//! Rebuilds the crate when a migration or the demo page changes: they are compiled into the binary.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed=web/demo/dist");
}
