//! Stands for `syn_filter` on systems other than Linux, where no attempt to connect is dropped.

use std::net::{TcpListener, TcpStream};

use crate::{limits::Subnet, metrics::Metrics};

pub(super) struct SynFilter;

impl SynFilter {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn refuse(&mut self, _: Subnet) {}

    pub(super) fn adapt(&mut self, _: &TcpListener, _: &Metrics) {}

    pub(super) fn release(&self, _: &TcpStream) {}
}
