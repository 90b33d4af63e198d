//! Tests of which panics are caught and counted, and of their consequences.

use std::{future::pending, time::Duration};

use tokio::time::timeout;

use super::*;

fn panics(metrics: &Metrics, task: &str) -> String {
    let series = format!("realtime_task_panics_total{{task=\"{task}\"}} ");
    let text = metrics.render();
    let mut lines = text.lines();
    let count = lines.find_map(|line| line.strip_prefix(&series));
    count.unwrap_or("absent").to_owned()
}

#[test]
fn every_task_has_a_name_of_its_own_and_is_counted_from_zero() {
    let metrics = Metrics::new();
    let _supervisor = Supervisor::new(metrics.clone());
    for task in Task::ALL {
        assert_eq!(panics(&metrics, task.name()), "0");
    }
    let names = Task::ALL.map(Task::name);
    let distinct: std::collections::BTreeSet<_> = names.into_iter().collect();
    assert_eq!(distinct.len(), Task::ALL.len());
}

#[tokio::test]
async fn the_panic_of_an_ordinary_task_is_only_counted() {
    let metrics = Metrics::new();
    let supervisor = Supervisor::new(metrics.clone());
    let task = supervisor.spawn(Task::Connection, async { panic!("on purpose") });
    task.await.expect("the panic was caught");
    assert_eq!(panics(&metrics, "connection"), "1");
    assert_eq!(supervisor.lost(), None);
}

#[tokio::test]
async fn the_panic_of_an_essential_task_is_reported_to_all_that_await_it() {
    let metrics = Metrics::new();
    let supervisor = Supervisor::new(metrics.clone());
    let early = supervisor.clone();
    let early = async move { early.losing().await };
    let (lost, task) = tokio::join!(
        early,
        supervisor.spawn(Task::LogWriter, async { panic!("on purpose") })
    );
    task.expect("the panic was caught");
    assert_eq!(lost, Task::LogWriter);
    assert_eq!(supervisor.losing().await, Task::LogWriter);
    assert_eq!(supervisor.lost(), Some(Task::LogWriter));
    assert_eq!(panics(&metrics, "log_writer"), "1");
}

#[tokio::test]
async fn a_task_that_ends_or_is_aborted_does_not_count_as_lost() {
    let metrics = Metrics::new();
    let supervisor = Supervisor::new(metrics.clone());
    let done = supervisor.spawn(Task::LogWriter, async {});
    done.await.expect("it ended");
    let aborted = supervisor.spawn(Task::LogWriter, pending());
    aborted.abort();
    assert!(aborted.await.expect_err("it was ended").is_cancelled());
    let losing = timeout(Duration::from_millis(1), supervisor.losing()).await;
    assert!(losing.is_err());
    assert_eq!(panics(&metrics, "log_writer"), "0");
}

#[tokio::test]
async fn the_panic_of_guarded_work_does_not_end_its_caller() {
    let metrics = Metrics::new();
    let supervisor = Supervisor::new(metrics.clone());
    assert_eq!(supervisor.guard(Task::Sessions, || 7), Some(7));
    let broken = supervisor.guard(Task::Sessions, || -> u8 { panic!("on {}", "purpose") });
    assert_eq!(broken, None);
    let blocking = supervisor.blocking(Task::Validation, || 8).await;
    assert_eq!(blocking, Some(8));
    let own = supervisor.thread(Task::Listener, || 9).await;
    assert_eq!(own, Some(9));
    let broken = supervisor
        .thread(Task::Validation, || -> u8 { panic!("on purpose") })
        .await;
    assert_eq!(broken, None);
    let broken = supervisor
        .blocking(Task::Validation, || -> u8 { panic!("on purpose") })
        .await;
    assert_eq!(broken, None);
    assert_eq!(panics(&metrics, "sessions"), "1");
    assert_eq!(panics(&metrics, "validation"), "2");
    assert_eq!(supervisor.lost(), None);
}
