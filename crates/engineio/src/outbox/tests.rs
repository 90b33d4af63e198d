//! Tests of what an outbox promises to senders and to its task.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Wake,
};

use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::tcp::{Stream as _, Tcp};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Writes the queued messages, `step` bytes at a time, and returns their bytes.
fn drained(outbox: &Outbox, step: usize) -> Vec<u8> {
    let (mut batch, mut all, mut written) = (Batch::in_thread_buffer(), Vec::new(), 0);
    loop {
        outbox.gather(written, &mut batch, Waker::noop());
        if batch.is_empty() {
            return all;
        }
        let bytes = batch.write(|slices| slices.iter().map(|it| it.to_vec()).collect::<Vec<_>>());
        let bytes = bytes.concat();
        written = step.min(bytes.len());
        all.extend_from_slice(&bytes[..written]);
    }
}

fn large(byte: u8) -> Message {
    Message::binary(vec![byte; 10_000].into())
}

#[test]
fn all_bytes_are_written_once_and_in_order_however_few_the_kernel_takes() {
    let send = |outbox: &Outbox| {
        for n in 0..40 {
            outbox.send(Message::text(&format!("message {n}")));
            outbox.send(large(n));
            outbox.send(Message::text(&"t".repeat(9_000)));
        }
    };
    let outbox = Outbox::new(1000);
    send(&outbox);
    let whole = drained(&outbox, usize::MAX);
    for step in [7, 1000, 9_999, 10_004, 70_000] {
        send(&outbox);
        assert!(drained(&outbox, step) == whole, "{step} bytes at a time");
        assert!(outbox.is_empty());
        assert_eq!(outbox.waiting_bytes(), 0);
    }
}

#[test]
fn a_sleeping_task_is_woken_once_and_one_that_is_awake_never() {
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let count = || wakes.0.load(Ordering::Relaxed);
    let outbox = Outbox::new(10);
    outbox.begin_turn();
    outbox.send(Message::text("while it is awake"));
    let mut batch = Batch::in_thread_buffer();
    outbox.gather(0, &mut batch, &waker);
    let all = batch.write(|slices| slices[0].len());
    outbox.gather(all, &mut batch, &waker);
    assert_eq!(count(), 0);
    outbox.send(Message::text("while it sleeps"));
    outbox.send(Message::text("before it looks"));
    assert_eq!(count(), 1);
    outbox.begin_turn();
    outbox.register_blocked(&waker);
    outbox.send(Message::text("while the peer does not read"));
    assert_eq!(count(), 1);
    outbox.cut();
    assert_eq!(count(), 2);
}

#[tokio::test]
async fn a_caller_writes_itself_until_the_kernel_takes_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (mut client, tcp) = (
        client.expect("connected"),
        Tcp::new(accepted.expect("accepted").0),
    );
    let write_half = tcp.write_half().expect("a half for callers");
    write_half.writable().await.expect("a connection");

    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    let count = || wakes.0.load(Ordering::Relaxed);
    let outbox = Outbox::new(1000);
    outbox.set_write_half(Some(write_half));
    outbox.gather(0, &mut Batch::in_thread_buffer(), &waker);
    outbox.queue(Message::text("hello"), usize::MAX);
    assert_eq!(outbox.len(), 1, "nothing is sent before the flush");
    outbox.flush(Writer::Caller);
    assert!(outbox.is_empty());
    let mut read = [0; 7];
    client.read_exact(&mut read).await.expect("a message");
    assert_eq!(&read, b"\x81\x05hello");

    outbox.queue(Message::binary(vec![0; 100_000].into()), usize::MAX);
    outbox.flush(Writer::Caller);
    assert_eq!((outbox.len(), count()), (1, 1), "too large for a caller");
    drained(&outbox, usize::MAX);
    outbox.gather(0, &mut Batch::in_thread_buffer(), &waker);
    while count() == 1 {
        outbox.queue(large(1), usize::MAX);
        outbox.flush(Writer::Caller);
    }
    assert_eq!(
        (outbox.is_empty(), count()),
        (false, 2),
        "the kernel is full"
    );
}

#[test]
fn messages_and_bytes_are_bounded() {
    let outbox = Outbox::new(3);
    assert_eq!(
        outbox.offer(large(1), 5_000),
        Sent::Queued,
        "nothing is waiting"
    );
    assert_eq!(outbox.offer(large(2), 5_000), Sent::Full);
    let mut batch = Batch::in_thread_buffer();
    outbox.gather(1, &mut batch, Waker::noop());
    assert_eq!(outbox.waiting_bytes(), 0, "it is being written");
    assert_eq!(outbox.offer(large(3), 5_000), Sent::Queued);
    assert_eq!(outbox.send(large(4)), Sent::Queued);
    assert_eq!(outbox.send(large(5)), Sent::Full, "three messages");
}

#[test]
fn no_message_is_accepted_after_the_end() {
    let outbox = Outbox::new(10);
    outbox.send(Message::text("last text."));
    outbox.close(Some(1000));
    outbox.close(Some(1001));
    assert_eq!(outbox.send(Message::text("late")), Sent::Over);
    assert_eq!(drained(&outbox, 99), b"\x81\x0alast text.\x88\x02\x03\xE8");
    let outbox = Outbox::new(10);
    outbox.send(Message::text("unread"));
    outbox.cut();
    assert!(outbox.is_over() && outbox.is_empty());
    assert_eq!(outbox.begin_turn(), Status::Cut);
}

#[test]
fn a_long_queue_frees_its_memory_when_it_is_empty() {
    let outbox = Outbox::new(10_000);
    for _ in 0..10_000 {
        outbox.send(Message::text("x"));
    }
    drained(&outbox, usize::MAX);
    assert_eq!(outbox.state.lock().queue.capacity(), 0);
}
