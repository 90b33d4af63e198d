//! All interleavings of the tasks of one connection, one by one.

use std::collections::HashSet;

use super::*;

/// The tasks that touch a connection which began with polling. Each is where it is in its program;
/// each step of it is one critical section.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct World {
    stage: Stage,
    /// Of two POSTs of two packets each, since a client may break the rules.
    posts: [u8; 2],
    /// Of the WebSocket that probes: its position in its program.
    websocket: u8,
    /// Whether it has the connection.
    linked: bool,
    /// What the outbox says: the connection ends.
    over: bool,
    /// The calls of the door.
    upgraded: u8,
    closed: u8,
    /// The POST of which packets were handed to the door last, and is not complete.
    handing: Option<u8>,
}

/// What a task does next. Each is tried in each state.
#[derive(Clone, Copy, Debug)]
enum Step {
    Post(usize),
    Websocket,
    WebsocketFails,
    Deadline,
    Close,
}

const STEPS: [Step; 6] = [
    Step::Post(0),
    Step::Post(1),
    Step::Websocket,
    Step::WebsocketFails,
    Step::Deadline,
    Step::Close,
];

const DONE: u8 = u8::MAX;

impl World {
    fn new() -> Self {
        Self {
            stage: Stage::new(Carrier::Polling),
            posts: [0; 2],
            websocket: 0,
            linked: false,
            over: false,
            upgraded: 0,
            closed: 0,
            handing: None,
        }
    }

    /// The world after `step`; `None` if its task has nothing to do.
    fn after(mut self, step: Step) -> Option<Self> {
        match step {
            Step::Post(number) => self.post(number)?,
            Step::Websocket => self.websocket()?,
            Step::WebsocketFails => self.fail_websocket()?,
            Step::Deadline => self.deadline()?,
            Step::Close => self.close()?,
        }
        Some(self)
    }

    fn post(&mut self, number: usize) -> Option<()> {
        let at = self.posts[number];
        self.posts[number] = match at {
            0 if self.stage.carrier() == Carrier::Websocket => DONE,
            0 if self.stage.begin(Request::Post) => 1,
            // Another one is open: two clients use the same connection.
            0 => {
                self.begin_closing();
                DONE
            }
            1 | 2 if self.stage.takes_from(Carrier::Polling) => {
                self.call_of(Carrier::Polling);
                self.handing = Some(number as u8);
                at + 1
            }
            1..=3 => {
                self.handing = None;
                self.stage.end(Request::Post);
                DONE
            }
            _ => return None,
        };
        Some(())
    }

    fn websocket(&mut self) -> Option<()> {
        self.websocket = match self.websocket {
            0 if self.stage.begin_probe() => 1,
            0 => DONE,
            1 => {
                self.stage.begin_upgrade();
                2
            }
            2 => match self.stage.take_over() {
                Takeover::Complete => {
                    assert_eq!(
                        self.handing, None,
                        "a POST is complete before the WebSocket goes on"
                    );
                    assert_eq!(self.closed, 0, "no upgrade after the end");
                    self.upgraded += 1;
                    self.linked = true;
                    3
                }
                Takeover::AfterPost => return None,
                Takeover::Refused => {
                    self.stage.end_probe();
                    DONE
                }
            },
            3 if self.over => {
                self.report_end(Carrier::Websocket);
                DONE
            }
            3 => {
                assert!(self.stage.takes_from(Carrier::Websocket));
                self.call_of(Carrier::Websocket);
                4
            }
            4 => {
                self.report_end(Carrier::Websocket);
                DONE
            }
            _ => return None,
        };
        Some(())
    }

    fn fail_websocket(&mut self) -> Option<()> {
        match self.websocket {
            1 | 2 => self.stage.end_probe(),
            3 | 4 => self.report_end(Carrier::Websocket),
            _ => return None,
        }
        self.websocket = DONE;
        Some(())
    }

    /// The task that observes deadlines ends with the upgrade, or with the connection.
    fn deadline(&mut self) -> Option<()> {
        if !self.over || self.stage.carrier() == Carrier::Websocket || self.closed > 0 {
            return None;
        }
        self.report_end(Carrier::Polling);
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        (!self.over).then(|| self.begin_closing())
    }

    fn begin_closing(&mut self) {
        self.over = true;
        self.stage.begin_closing();
    }

    fn call_of(&self, carrier: Carrier) {
        assert_eq!(self.closed, 0, "no packet after the end");
        assert_eq!(
            self.linked,
            carrier == Carrier::Websocket,
            "packets of one carrier at a time"
        );
    }

    fn report_end(&mut self, carrier: Carrier) {
        self.over = true;
        if self.stage.close(carrier) {
            self.closed += 1;
        }
        assert!(self.closed < 2, "the end is reported once");
    }
}

#[test]
fn in_every_interleaving_the_door_is_called_in_order() {
    let mut seen = HashSet::from([World::new()]);
    let mut next = vec![World::new()];
    let (mut upgrades, mut ends) = (0, 0);
    while let Some(world) = next.pop() {
        let following: Vec<_> = STEPS.iter().filter_map(|step| world.after(*step)).collect();
        if following.is_empty() {
            assert_eq!(
                world.closed, 1,
                "nothing is left to do before the end: {world:?}"
            );
            upgrades += u32::from(world.upgraded == 1);
            ends += 1;
        }
        next.extend(following.into_iter().filter(|world| seen.insert(*world)));
    }
    assert!(
        upgrades > 0 && upgrades < ends,
        "with and without an upgrade"
    );
    assert!(seen.len() > 150, "{} states", seen.len());
}

#[test]
fn one_websocket_at_a_time_may_probe_and_only_a_probed_one_takes_over() {
    let mut stage = Stage::new(Carrier::Polling);
    assert!(stage.begin_probe());
    assert!(!stage.begin_probe(), "another one is probing");
    assert_eq!(stage.take_over(), Takeover::Refused, "it sent no probe");
    stage.end_probe();
    assert!(stage.begin_probe(), "the first one has failed");
    stage.begin_upgrade();
    assert!(stage.ends_poll(false) && !stage.ends_poll(true));
    assert_eq!(stage.take_over(), Takeover::Complete);
    stage.end_probe();
    assert_eq!(stage.carrier(), Carrier::Websocket);
    assert!(!stage.begin_probe(), "the upgrade is complete");
    assert!(stage.ends_poll(true));
}
