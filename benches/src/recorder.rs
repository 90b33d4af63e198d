//! Generates an editing history that resembles a person's: bursts of typing at a moving cursor,
//! corrected mistakes, passages that are cut and pasted.

use crate::trace::{Edit, Trace};

/// The file of the recorded history.
pub const FIXTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../fixtures/typing-trace.json.gz"
);

/// The seed of the recorded history.
pub const SEED: u64 = 20_260_101;

/// The number of edits.
pub const EDITS: usize = 60_000;

const WORDS: &str = "the of and to in a is that for it as was with be by on not he his but at are \
    this have from or had an they which one you were all her she there would their we him been has \
    when who will no more if out so said what up its about into than them can only other time new \
    some could these two may first then do any like my now over such our man me even most made \
    after also did many before must through years where much your way well down should because \
    each just those people how too little state good very make world still see own work long here \
    document paragraph sentence editor cursor collaboration server update merge version comment";

/// The random numbers of one recording (SplitMix64), which depend on the seed only.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    fn between(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    fn percent(&mut self, share: u64) -> bool {
        self.next() % 100 < share
    }
}

/// A simulated typist.
struct Person {
    random: Random,
    words: Vec<&'static str>,
    text: Vec<u8>,
    cursor: usize,
    edits: Vec<Edit>,
    edits_max: usize,
}

/// Records `edits` edits; the same for the same `seed`.
pub fn record(seed: u64, edits: usize) -> Trace {
    let mut person = Person {
        random: Random(seed),
        words: WORDS.split_whitespace().collect(),
        text: Vec::new(),
        cursor: 0,
        edits: Vec::with_capacity(edits),
        edits_max: edits,
    };
    while person.edits.len() < edits {
        match person.random.between(0, 99) {
            0..=69 => person.type_words(),
            70..=84 => person.take_back(3, 30),
            85..=89 => person.jump(),
            90..=94 => person.paste(),
            _ => person.cut(),
        }
        if person.random.percent(40) {
            person.jump();
        }
    }
    Trace {
        start_content: String::new(),
        end_content: String::from_utf8_lossy(&person.text).into_owned(),
        txns: person.edits,
    }
}

impl Person {
    fn edit(&mut self, position: usize, deleted: usize, inserted: &str) {
        if self.edits.len() == self.edits_max {
            return;
        }
        self.text
            .splice(position..position + deleted, inserted.bytes());
        self.cursor = position + inserted.len();
        let patch = (position as u32, deleted as u32, inserted.to_owned());
        self.edits.push(Edit {
            patches: vec![patch],
        });
    }

    fn word(&mut self) -> &'static str {
        let place = self.random.between(0, self.words.len() - 1);
        self.words[place]
    }

    /// Types a burst of letters, with occasional mistakes.
    fn type_words(&mut self) {
        for _ in 0..self.random.between(2, 25) {
            for letter in self.word().chars() {
                self.type_letter(letter);
                if self.random.percent(2) {
                    self.type_letter('q');
                    self.take_back(1, 1);
                }
            }
            let end = match self.random.between(0, 19) {
                0 => ".\n",
                1 => ". ",
                2 => ", ",
                _ => " ",
            };
            end.chars().for_each(|letter| self.type_letter(letter));
        }
    }

    fn type_letter(&mut self, letter: char) {
        self.edit(self.cursor, 0, letter.encode_utf8(&mut [0; 4]));
    }

    fn take_back(&mut self, low: usize, high: usize) {
        for _ in 0..self.random.between(low, high).min(self.cursor) {
            self.edit(self.cursor - 1, 1, "");
        }
    }

    /// Moves the cursor: mostly a short distance, sometimes anywhere.
    fn jump(&mut self) {
        let len = self.text.len();
        self.cursor = if self.random.percent(70) {
            let low = self.cursor.saturating_sub(300);
            self.random.between(low, (self.cursor + 300).min(len))
        } else {
            self.random.between(0, len)
        };
    }

    fn paste(&mut self) {
        let mut passage = String::new();
        for _ in 0..self.random.between(6, 60) {
            passage.push_str(self.word());
            passage.push(' ');
        }
        self.edit(self.cursor, 0, &passage);
    }

    fn cut(&mut self) {
        let len = self.random.between(20, 200).min(self.cursor);
        if len > 0 {
            self.edit(self.cursor - len, len, "");
        }
    }
}
