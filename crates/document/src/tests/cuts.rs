//! The applied, the relayed and the written part of an update are the same, whatever it claims.

use super::super::lib0::write_var;
use super::super::{ApplyError, Document, Integrated, Visibility, merge};
use super::{Client, LIMITS, Outcome, apply, apply_as, document, restore, view};
use crate::ClientId;

/// A block of text, with its client, its clock and its neighbours.
pub(super) struct Typed<'a> {
    pub(super) client: ClientId,
    pub(super) clock: u64,
    pub(super) left: Option<(ClientId, u64)>,
    pub(super) right: Option<(ClientId, u64)>,
    pub(super) root: &'a str,
    pub(super) text: &'a str,
}

impl Typed<'_> {
    pub(super) fn new(client: ClientId, clock: u64, text: &str) -> Typed<'_> {
        Typed {
            client,
            clock,
            left: clock.checked_sub(1).map(|clock| (client, clock)),
            right: None,
            root: "text",
            text,
        }
    }
}

pub(super) fn update(blocks: &[Typed<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    write_var(&mut out, blocks.len() as u64);
    for block in blocks {
        write_var(&mut out, 1);
        write_var(&mut out, block.client);
        write_var(&mut out, block.clock);
        let flags = u8::from(block.left.is_some()) << 7 | u8::from(block.right.is_some()) << 6;
        out.push(4 | flags);
        for (client, clock) in block.left.into_iter().chain(block.right) {
            write_var(&mut out, client);
            write_var(&mut out, clock);
        }
        if flags == 0 {
            out.push(1);
            write_var(&mut out, block.root.len() as u64);
            out.extend(block.root.as_bytes());
        }
        write_var(&mut out, block.text.len() as u64);
        out.extend(block.text.as_bytes());
    }
    out.push(0);
    out
}

/// A document with all its relays and all its rows.
pub(super) struct Recorded {
    pub(super) document: Document,
    present: Client,
    log: Vec<Vec<u8>>,
}

impl Recorded {
    pub(super) fn new() -> Self {
        Self {
            document: document(),
            present: Client::new(1 << 51),
            log: Vec::new(),
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<Outcome, ApplyError> {
        self.send_as(bytes, |_| u32::MAX)
    }

    fn send_as(
        &mut self,
        bytes: &[u8],
        allowed: impl Fn(ClientId) -> u32,
    ) -> Result<Outcome, ApplyError> {
        let applied = apply_as(&mut self.document, bytes, allowed)?;
        let relayed = match &applied.integrated {
            Integrated::Nothing => None,
            Integrated::Whole => Some(bytes.to_vec()),
            Integrated::Part(part) | Integrated::WithPending(part) => Some(part.clone()),
        };
        if let Some(relayed) = &relayed {
            self.present.receive(relayed);
        }
        let both: Vec<_> = relayed.into_iter().chain(applied.pending.clone()).collect();
        if !both.is_empty() {
            self.log.push(merge(&both).expect("no common elements"));
        }
        self.agrees();
        Ok(applied.into())
    }

    /// The document, a replica with the relays and one with the log are the same.
    fn agrees(&self) {
        let mut replayed = Document::new(LIMITS);
        for row in &self.log {
            restore(&mut replayed, row).expect("a row");
        }
        assert_eq!(view(&replayed), view(&self.document), "the log");
        let seen = self.document.diff(&Default::default()).expect("sound");
        let newcomer = Client::new(1 << 50);
        newcomer.receive(&seen);
        assert_eq!(self.present.view(), newcomer.view(), "the relays");
    }

    fn text(&self) -> String {
        let (view, _) = self.present.view();
        view.split('|').next().unwrap_or_default().to_owned()
    }
}

#[test]
fn a_forged_copy_of_elements_replaces_nothing() {
    let mut recorded = Recorded::new();
    recorded
        .send(&update(&[Typed::new(7, 0, "hello")]))
        .expect("applies");
    for forged in ["HELLO", "hallo", "hellO", "HELLO THERE", "h", "H"] {
        for clock in 0..3 {
            let mine = Typed::new(9, recorded.document.clock(9).into(), "!");
            let copy = Typed::new(7, clock, forged);
            let sent = recorded.send(&update(&[mine, copy]));
            let honest = "hello"[clock as usize..].starts_with(forged);
            assert_eq!(
                sent.is_ok(),
                honest && clock == 0,
                "{forged} at {clock}: {sent:?}"
            );
        }
    }
    assert!(recorded.text().contains("hello"));
    assert_eq!(recorded.document.clock(7), 5);
}

#[test]
fn known_clocks_with_other_content_are_refused_and_a_repeated_update_is_not() {
    let mut recorded = Recorded::new();
    let whole = update(&[Typed::new(7, 0, "he😀lo")]);
    assert_eq!(recorded.send(&whole), Ok(Outcome::New));
    assert_eq!(recorded.send(&whole), Ok(Outcome::Nothing));
    let part = |clock, text| update(&[Typed::new(7, clock, text)]);
    assert_eq!(recorded.send(&part(1, "e😀l")), Ok(Outcome::Nothing));
    assert_eq!(recorded.send(&part(5, "o")), Ok(Outcome::Nothing));
    assert_eq!(recorded.send(&part(5, "x")), Err(ApplyError::Contradiction));
    assert_eq!(recorded.send(&part(4, "lo!")), Ok(Outcome::New));
    let elsewhere = Typed {
        left: Some((7, 2)),
        ..Typed::new(7, 5, "o")
    };
    assert_eq!(
        recorded.send(&update(&[elsewhere])),
        Err(ApplyError::Contradiction),
        "the same letter at another place"
    );
    let elsewhere = Typed {
        root: "other",
        ..Typed::new(7, 0, "h")
    };
    assert_eq!(
        recorded.send(&update(&[elsewhere])),
        Err(ApplyError::Contradiction)
    );
}

#[test]
fn overlapping_updates_of_one_client_are_relayed_as_they_are_applied() {
    let mut recorded = Recorded::new();
    recorded
        .send(&update(&[Typed::new(7, 0, "abc")]))
        .expect("applies");
    assert_eq!(
        recorded.send(&update(&[Typed::new(7, 1, "bcde")])),
        Ok(Outcome::New)
    );
    assert_eq!(recorded.text(), "abcde");
    // A pair of surrogates that is torn at the seam.
    recorded
        .send(&update(&[Typed::new(7, 5, "\u{fffd}")]))
        .expect("applies");
    recorded
        .send(&update(&[Typed::new(7, 5, "😀f")]))
        .expect("applies");
    assert_eq!(recorded.document.clock(7), 8);
}

#[test]
fn elements_of_another_owner_are_cut_out_and_the_others_are_integrated() {
    let mut recorded = Recorded::new();
    recorded
        .send(&update(&[Typed::new(7, 0, "ana")]))
        .expect("applies");
    let allowed = |client| if client == 7 { 0 } else { u32::MAX };
    let both = update(&[Typed::new(9, 0, "eve"), Typed::new(7, 2, "aXX")]);
    assert_eq!(recorded.send_as(&both, allowed), Ok(Outcome::Pending));
    assert_eq!(
        (recorded.document.clock(7), recorded.document.clock(9)),
        (3, 3)
    );
    assert!(
        !recorded.document.has_pending(),
        "they are not pending either"
    );
    assert_eq!(
        recorded.send(&update(&[Typed::new(7, 3, " herself")])),
        Ok(Outcome::New)
    );
    assert!(recorded.text().contains("ana herself"));
    let up_to = |client| if client == 7 { 13 } else { u32::MAX };
    let reply = update(&[Typed::new(7, 11, "!!!!")]);
    assert_eq!(recorded.send_as(&reply, up_to), Ok(Outcome::Pending));
    assert_eq!(recorded.document.clock(7), 13);
}

#[test]
fn deletions_of_what_another_owner_will_write_are_cut_out() {
    let mut recorded = Recorded::new();
    recorded
        .send(&update(&[Typed::new(7, 0, "ana")]))
        .expect("applies");
    // Of client 7, the elements from clock 1 on.
    let deletion = [0, 1, 7, 1, 1, 100];
    let allowed = |client| if client == 7 { 5 } else { u32::MAX };
    assert_eq!(
        recorded.send_as(&deletion, allowed),
        Ok(Outcome::Pending),
        "not all of it has an effect"
    );
    assert_eq!(recorded.text(), "a");
    assert_eq!(
        recorded.send(&update(&[Typed::new(7, 3, "123456")])),
        Ok(Outcome::New)
    );
    assert_eq!(recorded.text(), "a3456", "clocks 3 and 4 were allowed");
    assert!(!recorded.document.has_pending());
}

#[test]
fn pending_elements_are_not_replaced_either() {
    let mut recorded = Recorded::new();
    let early = update(&[Typed::new(7, 3, "def")]);
    assert_eq!(recorded.send(&early), Ok(Outcome::Pending));
    assert_eq!(recorded.send(&early), Ok(Outcome::Pending));
    assert_eq!(
        recorded.send(&update(&[Typed::new(7, 3, "dXf")])),
        Err(ApplyError::Contradiction)
    );
    assert_eq!(
        recorded.send(&update(&[Typed::new(7, 4, "efgh")])),
        Ok(Outcome::Pending)
    );
    assert_eq!(
        recorded.send(&update(&[Typed::new(7, 0, "abc")])),
        Ok(Outcome::New)
    );
    assert_eq!(recorded.text(), "abcdefgh");
}

#[test]
fn elements_that_are_deleted_twice_are_relayed_once() {
    let mut recorded = Recorded::new();
    recorded
        .send(&update(&[Typed::new(7, 0, "hello")]))
        .expect("applies");
    let delete = |ranges: &[u8]| [&[0, 1, 7, ranges.len() as u8 / 2], ranges].concat();
    assert_eq!(recorded.send(&delete(&[1, 2])), Ok(Outcome::New));
    assert_eq!(recorded.send(&delete(&[1, 2])), Ok(Outcome::Nothing));
    let applied = apply_as(&mut recorded.document, &delete(&[0, 4]), |_| u32::MAX);
    let Ok(applied) = applied else {
        panic!("refused")
    };
    assert_eq!(applied.integrated, Integrated::Part(delete(&[0, 1, 3, 1])));
    assert_eq!(applied.visibility, Visibility::Visible);
}

#[test]
fn pending_deletions_do_not_slow_down_their_client() {
    let mut document = document();
    let mut deletes = vec![0, 1, 7];
    write_var(&mut deletes, 70_000);
    for at in 0..70_000_u64 {
        write_var(&mut deletes, 100 + at * 2);
        write_var(&mut deletes, 1);
    }
    assert_eq!(apply(&mut document, &deletes), Ok(Outcome::Pending));
    let before = document.pending.bytes();
    for clock in 0..50 {
        let typed = update(&[Typed::new(7, clock, "x")]);
        assert_eq!(apply(&mut document, &typed), Ok(Outcome::New));
        assert_eq!(document.pending.bytes(), before, "nothing was touched");
    }
    let typed = update(&[Typed::new(7, 50, &"y".repeat(60))]);
    assert_eq!(apply(&mut document, &typed), Ok(Outcome::New));
    assert_eq!(document.pending.deletes().len(), 70_000 - 5);
    assert_eq!(view(&document).0.matches('y').count(), 55);
}

#[test]
fn an_update_that_would_take_long_is_refused_and_changes_nothing() {
    // 4,000 clients wrote one behind the other; 4,000 more claim the place of the first.
    let mut document = document();
    apply(&mut document, &update(&[Typed::new(7, 0, "start")])).expect("applies");
    let behind = |client, left| Typed {
        left: Some(left),
        ..Typed::new(client, 0, "x")
    };
    let chain: Vec<_> = (1_000..5_000)
        .map(|client| {
            behind(
                client,
                if client == 1_000 {
                    (7, 4)
                } else {
                    (client - 1, 0)
                },
            )
        })
        .collect();
    assert_eq!(apply(&mut document, &update(&chain)), Ok(Outcome::New));
    let before = document.encode().expect("sound");
    let many: Vec<_> = (10_000..14_000)
        .map(|client| behind(client, (7, 4)))
        .collect();
    assert_eq!(
        apply(&mut document, &update(&many)),
        Err(ApplyError::TooCostly)
    );
    assert_eq!(document.encode().expect("sound").len(), before.len());
    let one = behind(20_000, (7, 4));
    assert_eq!(apply(&mut document, &update(&[one])), Ok(Outcome::New));
}
