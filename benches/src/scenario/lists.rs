//! lists: the first pages of long lists, and a session of a person with many notifications.

use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{Deaf, Interval, Plan, Stage, Target, figure};
use crate::{
    bulk::{Bulk, Sizes},
    client::Client,
    connect,
    histogram::Histogram,
    http::Http,
    report::Row,
    token,
};

/// The rows on a page where no limit is given.
const PAGE: usize = 50;

/// A list.
struct List {
    /// The request on a socket.
    request: &'static str,
    /// What distinguishes it from other lists of the same request.
    filter: &'static str,
    /// The fields of the request.
    payload: Value,
    /// The address of the same list by HTTP.
    path: String,
    /// The field with the rows.
    rows: &'static str,
}

/// How long something took, and what it cost.
struct Timed {
    took: Histogram,
    /// CPU time of the server for each, in milliseconds.
    cpu_ms: f64,
}

/// Runs the scenario once; a relay has no lists.
pub async fn run(plan: &Plan, target: Target) -> Result<Vec<Row>> {
    if target != Target::Server {
        return Ok(Vec::new());
    }
    let times = plan.scaled(300, 3);
    let sizes = Sizes {
        threads: plan.scaled(10_000, 100),
        notifications: plan.scaled(100_000, 400),
        activities: plan.scaled(100_000, 10_000),
        people: plan.scaled(10_000, 100),
    };
    let stage = Stage::new(plan, target)?;
    let (room, other) = (stage.room_name(0), stage.room_name(1));
    let user = format!("reader-{}", stage.nonce);
    let listener = || Rc::new(Deaf);
    let client = Client::connect(&stage.address, &user, &room, listener(), &stage.meter).await?;
    client.join().await?;
    let writer =
        Client::connect(&stage.address, "writer", &other, listener(), &stage.meter).await?;
    writer.join().await?;
    let mut bulk = Bulk::connect(stage.process.database()).await?;
    bulk.fill(&room, &other, &user, sizes).await?;

    let reader = Reader {
        stage: &stage,
        times,
        client: &client,
        user: &user,
        room: &room,
        unread: sizes.notifications - sizes.notifications / 2,
    };
    let checked = async {
        let mut figures = Vec::new();
        if bulk.has_statistics() {
            reader
                .read_lists(" without statistics", &mut figures)
                .await?;
        }
        bulk.tidy().await?;
        reader.read_lists("", &mut figures).await?;
        reader.arrive(&mut figures).await?;
        Ok(figures)
    };
    let (figures, checked) = match checked.await {
        Ok(figures) => (figures, Ok(())),
        Err(error) => (Vec::new(), Err(error)),
    };
    client.close();
    writer.close();

    let verdict = stage.end(target, checked)?;
    let row = |(variant, timed): (String, Timed)| Row {
        scenario: "lists",
        target: target.name(),
        variant,
        figures: timed.figures(),
        verdict: verdict.clone(),
    };
    Ok(figures.into_iter().map(row).collect())
}

/// The person who reads the lists.
struct Reader<'a> {
    stage: &'a Stage,
    /// How often each list is read.
    times: usize,
    client: &'a Client,
    user: &'a str,
    room: &'a str,
    /// The number of the person's unread notifications.
    unread: usize,
}

impl Reader<'_> {
    /// Reads the first page of each list on a socket and by HTTP, in the given `state` of the database.
    async fn read_lists(&self, state: &str, figures: &mut Vec<(String, Timed)>) -> Result<()> {
        let (stage, times, unread) = (self.stage, self.times, self.unread);
        for list in lists(self.room) {
            let asked = timed(stage, times, async || {
                let answer = self.client.ask(list.request, &list.payload).await?;
                let answer: Value = serde_json::from_str(&answer.json)?;
                checked_page(&list, &answer[0], unread)
            });
            let asked = asked.await?;
            let mut http = self.http(token::sign(self.user)?).await?;
            let got = timed(stage, times, async || {
                let answer = http.get(&list.path).await?;
                checked_page(&list, &serde_json::from_str(&answer)?, unread)
            });
            let got = got.await?;
            let name = format!("{}{}", list.request, list.filter);
            figures.push((format!("{name}{state}"), asked));
            figures.push((format!("{name} by GET{state}"), got));
        }
        // To whom the counted number does not apply: unread notifications are counted by their documents.
        let limited =
            token::sign_with(self.user, json!({ self.room: "edit", "secret-*": "none" }))?;
        let mut http = self.http(limited).await?;
        let path = "/api/v1/notifications";
        let got = timed(stage, times, async || http.get(path).await.map(drop)).await?;
        figures.push((format!("notification_list with grants by GET{state}"), got));
        Ok(())
    }

    /// Connects, and joins the document.
    async fn arrive(&self, figures: &mut Vec<(String, Timed)>) -> Result<()> {
        let address = &self.stage.address;
        let connecting = timed(self.stage, self.times, async || {
            connect::open(address, self.user, "").await.map(drop)
        });
        figures.push(("connect".to_owned(), connecting.await?));
        let joining = timed(self.stage, self.times, async || {
            self.client.join().await.map(drop)
        });
        figures.push(("join".to_owned(), joining.await?));
        Ok(())
    }

    /// A connection that is used at once: the server closes those on which nobody asks for ten seconds.
    async fn http(&self, token: String) -> Result<Http> {
        Http::connect(self.stage.address.port, token).await
    }
}

/// The lists whose first pages are read.
fn lists(room: &str) -> [List; 7] {
    let threads = format!("/api/v1/documents/{room}/threads");
    let activity = "/api/v1/activity";
    let notifications = "/api/v1/notifications";
    let list = |request, filter, payload, path, rows| List {
        request,
        filter,
        payload,
        path,
        rows,
    };
    [
        list(
            "thread_list",
            "",
            json!({ "room": room }),
            threads.clone(),
            "threads",
        ),
        list(
            "thread_list",
            " of open ones",
            json!({ "room": room, "status": "open" }),
            format!("{threads}?status=open"),
            "threads",
        ),
        list(
            "notification_list",
            "",
            json!({}),
            notifications.to_owned(),
            "notifications",
        ),
        list(
            "notification_list",
            " of unread ones",
            json!({ "unread_only": true }),
            format!("{notifications}?unread_only=true"),
            "notifications",
        ),
        list(
            "activity_list",
            "",
            json!({}),
            activity.to_owned(),
            "activities",
        ),
        list(
            "activity_list",
            " of the document",
            json!({ "room": room }),
            format!("{activity}?room={room}"),
            "activities",
        ),
        list(
            "activity_list",
            " of a person in the document",
            json!({ "room": room, "actor": "u42" }),
            format!("{activity}?room={room}&actor=u42"),
            "activities",
        ),
    ]
}

/// Checks that a page is full, and that the number of unread notifications is right.
fn checked_page(list: &List, page: &Value, unread: usize) -> Result<()> {
    let rows = page[list.rows].as_array();
    let rows = rows.with_context(|| format!("{} without rows: {page}", list.request))?;
    let wrong = || format!("{}{} is not a full page", list.request, list.filter);
    ensure!(
        rows.len() == PAGE && page["next_cursor"].is_string(),
        wrong()
    );
    let counted = page["unread"].as_u64();
    ensure!(
        list.rows != "notifications" || counted == Some(unread as u64),
        "{counted:?} notifications are unread in place of {unread}"
    );
    Ok(())
}

/// Does `act` so many times, one after the other.
async fn timed(
    stage: &Stage,
    times: usize,
    mut act: impl AsyncFnMut() -> Result<()>,
) -> Result<Timed> {
    // The first one prepares statements.
    act().await?;
    let mut took = Histogram::default();
    let interval = Interval::begin(&stage.process)?;
    for _ in 0..times {
        let began = stage.meter.now();
        act().await?;
        took.add(stage.meter.now() - began);
    }
    let used = interval.end(&stage.process)?;
    let cpu_ms = used.cpu.as_secs_f64() * 1e3 / times as f64;
    Ok(Timed { took, cpu_ms })
}

impl Timed {
    fn figures(&self) -> Vec<crate::report::Figure> {
        let ms = |share| {
            self.took
                .quantile(share)
                .map(|took| took.as_secs_f64() * 1e3)
        };
        let figures = [
            figure("p50 ms", 2, ms(0.5)),
            figure("p99 ms", 2, ms(0.99)),
            figure("CPU ms", 2, Some(self.cpu_ms)),
        ];
        figures.into_iter().flatten().collect()
    }
}
