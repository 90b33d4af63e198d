//! Realtime Server: Socket.IO rooms that are durable Yjs documents.
//!
//! Several people edit one document at once; the server merges, relays and stores their
//! edits. Its main promise: **an acknowledged edit survives `kill -9` at any moment.**
//!
//! # Layout
//! Arrows point down: a module uses modules of lower layers only. Modules of layer 0 also
//! use one another, and `main` uses its whole layer. `tests/it/layers.rs` checks it.
//! ```text
//! 11 main  app  arguments  settings  signals  runtime
//!                                   build, start and stop the parts
//! 10 front  http  socket  websocket  import
//!                                   doors: parse, check the rights, call, answer; documents of other servers
//! 9  operations                     what clients may ask of the features, by name
//! 8  comments                       threads on documents
//! 7  room                           live documents, one task each
//! 6  catalog  presence  workflow    documents without their content; who is there; their status
//! 5  activity  notifications  webhooks  revocations
//!                                   what features write besides their own rows
//! 4  bus  idempotency               events, delivered to rooms, people and teams; repeated requests
//! 3  session                        connected clients of all doors
//! 2  store  limits                  durable storage; rates and budgets
//! 1  auth                           tokens and rights
//! 0  id  right  error  exit  payload  config  metrics  telemetry
//!    supervise                      the owner of all tasks
//! -  document  engineio  leveldb    the CRDT and its guards; WebSocket and Engine.IO; the files of LevelDB
//! ```
//! The last three are crates of their own, in `crates/`. They depend neither on the server
//! nor on each other.
//!
//! # An update
//! [`socket`] reads a frame, checks size, rate, right and structure, and puts the update
//! into its room's inbox before it reads the next frame. The [`room`] has the update cut
//! to the elements that are new and that its sender may bring, applies it to its
//! [`document`], relays it to the other members, and appends it to the log of the
//! [`store`], which commits the updates of all rooms in groups. The commit gives the
//! update its position, the seq, and then the room sends the ack.
//!
//! # Invariants
//! - An ack is sent after the commit, never before. A relay does not wait for the commit.
//! - The same part of an update is applied, relayed and written; no element is accepted
//!   twice.
//! - The cost of an update is estimated before it is applied, and bounded.
//! - Updates of one client are applied in the order in which it sent them.
//! - One task owns a document. No lock is held across an await.
//! - The log is the truth; a document in memory is a cache of it.
//! - A feature writes in one transaction, and its events are delivered after the commit.
//! - Bytes from outside reach yrs only after validation and under a guard.
//! - Every queue is bounded in bytes; a client that cannot keep up is resynced or cut.
//!
//! # Library walls
//! Each of these libraries is used in one place only: yrs in `crates/document`; hyper in
//! `crates/engineio`, which only `socket` and `websocket` use; sqlx in `store`, with whose `Transaction`
//! features write; axum in `http` and `app`; rust-embed in `http`; jsonwebtoken in `auth`;
//! clap in `main` and `arguments`. Only `settings` reads the environment, and only
//! `supervise` spawns tasks.

pub mod activity;
pub mod app;
pub mod arguments;
pub mod auth;
pub mod bus;
pub mod catalog;
pub mod comments;
pub mod config;
pub mod error;
pub mod exit;
pub mod front;
pub mod http;
pub mod id;
pub mod idempotency;
pub mod import;
pub mod limits;
pub mod metrics;
pub mod notifications;
pub mod operations;
pub mod payload;
pub mod presence;
pub mod revocations;
pub mod right;
pub mod room;
pub mod runtime;
pub mod session;
pub mod settings;
pub mod signals;
pub mod socket;
pub mod store;
pub mod supervise;
pub mod telemetry;
pub mod webhooks;
pub mod websocket;
pub mod workflow;
