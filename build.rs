//! Rebuilds the crate when the demo page changes: it is compiled into the binary.

fn main() {
    println!("cargo:rerun-if-changed=web/demo/dist");
}
