//! Realtime Server: Socket.IO rooms that are durable Yjs documents.
//!
//! People edit one document at once; the server merges, relays and keeps what
//! they write. The one promise that shapes everything: **an acknowledged edit
//! survives `kill -9` at any moment.**
//!
//! # Layout
//! Who may use whom: arrows only point down (`tests/it/layers.rs` guards it).
//! ```text
//! 7  main  app  arguments  settings  signals  runtime
//!                                   puts the parts together, starts and stops them
//! 6  http  socket                   doors: parse, ask permission, call, answer
//! 5  room  catalog                  live documents: one task each; the list of all
//! 4  bus                            what happened, told to rooms, people and teams
//! 3  session                        connected people, whatever their door
//! 2  store  limits                  durable truth; how fast one may go
//! 1  auth                           who may what
//! 0  id  error  exit  config  metrics  telemetry
//!    supervise                      every task has an owner
//! -  document  engineio             the CRDT and what guards it; WebSocket and Engine.IO
//! ```
//! The last two are crates of their own, in `crates/`, which know nothing of the
//! server and nothing of each other.
//!
//! # An update
//! [`socket`] reads a frame, checks size, rate, right and structure, and puts
//! the update into its room's inbox, before it reads the next frame. The
//! [`room`] has it cut to what is new and what its sender may bring, applies
//! that to its [`document`], relays it to the other members, and appends it to
//! the [`store`]'s log, which commits the updates of all
//! rooms in groups. The commit gives the update its position, and the sender
//! its ack.
//!
//! # Invariants
//! - An ack is sent after the commit, never before. A relay does not wait.
//! - What is applied, relayed and written of an update is the same; no element
//!   is ever brought twice.
//! - What an update may cost is estimated before it is paid, and bounded.
//! - Updates of one client are applied in the order in which it sent them.
//! - One task owns a document. No lock is held across an await.
//! - The log is the truth; memory is a cache.
//! - What a feature writes is one transaction, and nothing of it is told before its commit.
//! - Bytes from outside reach yrs only through validation and under a guard.
//! - Every queue is bounded, in bytes; who cannot keep up is resynced or cut.
//!
//! # Library walls
//! yrs is used in `crates/document` alone; hyper in `crates/engineio`, which
//! `socket` alone uses; sqlx in `store`, whose `Transaction` features write with;
//! axum in `http` and `app`; rust-embed in `http`; jsonwebtoken in `auth`. The
//! environment is read in `settings` alone. Tasks are spawned by `supervise` alone.

pub mod app;
pub mod arguments;
pub mod auth;
pub mod bus;
pub mod catalog;
pub mod config;
pub mod error;
pub mod exit;
pub mod http;
pub mod id;
pub mod limits;
pub mod metrics;
pub mod room;
pub mod runtime;
pub mod session;
pub mod settings;
pub mod signals;
pub mod socket;
pub mod store;
pub mod supervise;
pub mod telemetry;
