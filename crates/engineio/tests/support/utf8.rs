//! The cases 6.5 to 6.23 of Autobahn's WebSocket suite, under their numbers: texts that are UTF-8, or nearly. The sequences are
//! those of the suite (Apache-2.0), which has most of them from Markus Kuhn's "UTF-8 decoder capability and stress test".

use super::{NOT_UTF8, TEXT, check, fails, frame, passes, server_frame};

const VALID: bool = true;
const INVALID: bool = false;

/// The number of a case, its text, and whether that is UTF-8.
type Sequence = (&'static str, &'static [u8], bool);

#[tokio::test]
async fn a_text_comes_back_if_it_is_utf_8_and_fails_the_connection_otherwise() {
    let cases = SEQUENCES.iter().map(|&(number, text, is_valid)| {
        let sent = [frame(TEXT, text)];
        match is_valid {
            true => passes(number, &sent, &[server_frame(TEXT, text)]),
            false => fails(number, &sent, &[], NOT_UTF8),
        }
    });
    check(cases, 132).await;
}

#[rustfmt::skip]
const SEQUENCES: &[Sequence] = &[
    // Some valid UTF-8 sequences.
    ("6.5.1", b"hello$world", VALID),
    ("6.5.2", b"hello\xc2\xa2world", VALID),
    ("6.5.3", b"hello\xe2\x82\xacworld", VALID),
    ("6.5.4", b"hello\xf0\xa4\xad\xa2world", VALID),
    ("6.5.5", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", VALID),
    // All prefixes of a valid UTF-8 string that contains multi-byte code points.
    ("6.6.1", b"\xce", INVALID),
    ("6.6.2", b"\xce\xba", VALID),
    ("6.6.3", b"\xce\xba\xe1", INVALID),
    ("6.6.4", b"\xce\xba\xe1\xbd", INVALID),
    ("6.6.5", b"\xce\xba\xe1\xbd\xb9", VALID),
    ("6.6.6", b"\xce\xba\xe1\xbd\xb9\xcf", INVALID),
    ("6.6.7", b"\xce\xba\xe1\xbd\xb9\xcf\x83", VALID),
    ("6.6.8", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce", INVALID),
    ("6.6.9", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc", VALID),
    ("6.6.10", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce", INVALID),
    ("6.6.11", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", VALID),
    // First possible sequence of a certain length.
    ("6.7.1", b"\x00", VALID),
    ("6.7.2", b"\xc2\x80", VALID),
    ("6.7.3", b"\xe0\xa0\x80", VALID),
    ("6.7.4", b"\xf0\x90\x80\x80", VALID),
    // First possible sequence length 5/6 (invalid codepoints).
    ("6.8.1", b"\xf8\x88\x80\x80\x80", INVALID),
    ("6.8.2", b"\xfc\x84\x80\x80\x80\x80", INVALID),
    // Last possible sequence of a certain length.
    ("6.9.1", b"\x7f", VALID),
    ("6.9.2", b"\xdf\xbf", VALID),
    ("6.9.3", b"\xef\xbf\xbf", VALID),
    ("6.9.4", b"\xf4\x8f\xbf\xbf", VALID),
    // Last possible sequence length 4/5/6 (invalid codepoints).
    ("6.10.1", b"\xf7\xbf\xbf\xbf", INVALID),
    ("6.10.2", b"\xfb\xbf\xbf\xbf\xbf", INVALID),
    ("6.10.3", b"\xfd\xbf\xbf\xbf\xbf\xbf", INVALID),
    // Other boundary conditions.
    ("6.11.1", b"\xed\x9f\xbf", VALID),
    ("6.11.2", b"\xee\x80\x80", VALID),
    ("6.11.3", b"\xef\xbf\xbd", VALID),
    ("6.11.4", b"\xf4\x8f\xbf\xbf", VALID),
    ("6.11.5", b"\xf4\x90\x80\x80", INVALID),
    // Unexpected continuation bytes.
    ("6.12.1", b"\x80", INVALID),
    ("6.12.2", b"\xbf", INVALID),
    ("6.12.3", b"\x80\xbf", INVALID),
    ("6.12.4", b"\x80\xbf\x80", INVALID),
    ("6.12.5", b"\x80\xbf\x80\xbf", INVALID),
    ("6.12.6", b"\x80\xbf\x80\xbf\x80", INVALID),
    ("6.12.7", b"\x80\xbf\x80\xbf\x80\xbf", INVALID),
    ("6.12.8", b"\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f\xa0\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8\xa9\xaa\xab\xac\xad\xae\xaf\xb0\xb1\xb2\xb3\xb4\xb5\xb6\xb7\xb8\xb9\xba\xbb\xbc\xbd\xbe", INVALID),
    // Lonely start characters.
    ("6.13.1", b"\xc0 \xc1 \xc2 \xc3 \xc4 \xc5 \xc6 \xc7 \xc8 \xc9 \xca \xcb \xcc \xcd \xce \xcf \xd0 \xd1 \xd2 \xd3 \xd4 \xd5 \xd6 \xd7 \xd8 \xd9 \xda \xdb \xdc \xdd \xde ", INVALID),
    ("6.13.2", b"\xe0 \xe1 \xe2 \xe3 \xe4 \xe5 \xe6 \xe7 \xe8 \xe9 \xea \xeb \xec \xed \xee ", INVALID),
    ("6.13.3", b"\xf0 \xf1 \xf2 \xf3 \xf4 \xf5 \xf6 ", INVALID),
    ("6.13.4", b"\xf8 \xf9 \xfa ", INVALID),
    ("6.13.5", b"\xfc ", INVALID),
    // Sequences with last continuation byte missing.
    ("6.14.1", b"\xc0", INVALID),
    ("6.14.2", b"\xe0\x80", INVALID),
    ("6.14.3", b"\xf0\x80\x80", INVALID),
    ("6.14.4", b"\xf8\x80\x80\x80", INVALID),
    ("6.14.5", b"\xfc\x80\x80\x80\x80", INVALID),
    ("6.14.6", b"\xdf", INVALID),
    ("6.14.7", b"\xef\xbf", INVALID),
    ("6.14.8", b"\xf7\xbf\xbf", INVALID),
    ("6.14.9", b"\xfb\xbf\xbf\xbf", INVALID),
    ("6.14.10", b"\xfd\xbf\xbf\xbf\xbf", INVALID),
    // Concatenation of incomplete sequences.
    ("6.15.1", b"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf\xfb\xbf\xbf\xbf\xfd\xbf\xbf\xbf\xbf", INVALID),
    // Impossible bytes.
    ("6.16.1", b"\xfe", INVALID),
    ("6.16.2", b"\xff", INVALID),
    ("6.16.3", b"\xfe\xfe\xff\xff", INVALID),
    // Examples of an overlong ASCII character.
    ("6.17.1", b"\xc0\xaf", INVALID),
    ("6.17.2", b"\xe0\x80\xaf", INVALID),
    ("6.17.3", b"\xf0\x80\x80\xaf", INVALID),
    ("6.17.4", b"\xf8\x80\x80\x80\xaf", INVALID),
    ("6.17.5", b"\xfc\x80\x80\x80\x80\xaf", INVALID),
    // Maximum overlong sequences.
    ("6.18.1", b"\xc1\xbf", INVALID),
    ("6.18.2", b"\xe0\x9f\xbf", INVALID),
    ("6.18.3", b"\xf0\x8f\xbf\xbf", INVALID),
    ("6.18.4", b"\xf8\x87\xbf\xbf\xbf", INVALID),
    ("6.18.5", b"\xfc\x83\xbf\xbf\xbf\xbf", INVALID),
    // Overlong representation of the NUL character.
    ("6.19.1", b"\xc0\x80", INVALID),
    ("6.19.2", b"\xe0\x80\x80", INVALID),
    ("6.19.3", b"\xf0\x80\x80\x80", INVALID),
    ("6.19.4", b"\xf8\x80\x80\x80\x80", INVALID),
    ("6.19.5", b"\xfc\x80\x80\x80\x80\x80", INVALID),
    // Single UTF-16 surrogates.
    ("6.20.1", b"\xed\xa0\x80", INVALID),
    ("6.20.2", b"\xed\xad\xbf", INVALID),
    ("6.20.3", b"\xed\xae\x80", INVALID),
    ("6.20.4", b"\xed\xaf\xbf", INVALID),
    ("6.20.5", b"\xed\xb0\x80", INVALID),
    ("6.20.6", b"\xed\xbe\x80", INVALID),
    ("6.20.7", b"\xed\xbf\xbf", INVALID),
    // Paired UTF-16 surrogates.
    ("6.21.1", b"\xed\xa0\x80\xed\xb0\x80", INVALID),
    ("6.21.2", b"\xed\xa0\x80\xed\xbf\xbf", INVALID),
    ("6.21.3", b"\xed\xad\xbf\xed\xb0\x80", INVALID),
    ("6.21.4", b"\xed\xad\xbf\xed\xbf\xbf", INVALID),
    ("6.21.5", b"\xed\xae\x80\xed\xb0\x80", INVALID),
    ("6.21.6", b"\xed\xae\x80\xed\xbf\xbf", INVALID),
    ("6.21.7", b"\xed\xaf\xbf\xed\xb0\x80", INVALID),
    ("6.21.8", b"\xed\xaf\xbf\xed\xbf\xbf", INVALID),
    // Non-character code points (valid UTF-8).
    ("6.22.1", b"\xef\xbf\xbe", VALID),
    ("6.22.2", b"\xef\xbf\xbf", VALID),
    ("6.22.3", b"\xf0\x9f\xbf\xbe", VALID),
    ("6.22.4", b"\xf0\x9f\xbf\xbf", VALID),
    ("6.22.5", b"\xf0\xaf\xbf\xbe", VALID),
    ("6.22.6", b"\xf0\xaf\xbf\xbf", VALID),
    ("6.22.7", b"\xf0\xbf\xbf\xbe", VALID),
    ("6.22.8", b"\xf0\xbf\xbf\xbf", VALID),
    ("6.22.9", b"\xf1\x8f\xbf\xbe", VALID),
    ("6.22.10", b"\xf1\x8f\xbf\xbf", VALID),
    ("6.22.11", b"\xf1\x9f\xbf\xbe", VALID),
    ("6.22.12", b"\xf1\x9f\xbf\xbf", VALID),
    ("6.22.13", b"\xf1\xaf\xbf\xbe", VALID),
    ("6.22.14", b"\xf1\xaf\xbf\xbf", VALID),
    ("6.22.15", b"\xf1\xbf\xbf\xbe", VALID),
    ("6.22.16", b"\xf1\xbf\xbf\xbf", VALID),
    ("6.22.17", b"\xf2\x8f\xbf\xbe", VALID),
    ("6.22.18", b"\xf2\x8f\xbf\xbf", VALID),
    ("6.22.19", b"\xf2\x9f\xbf\xbe", VALID),
    ("6.22.20", b"\xf2\x9f\xbf\xbf", VALID),
    ("6.22.21", b"\xf2\xaf\xbf\xbe", VALID),
    ("6.22.22", b"\xf2\xaf\xbf\xbf", VALID),
    ("6.22.23", b"\xf2\xbf\xbf\xbe", VALID),
    ("6.22.24", b"\xf2\xbf\xbf\xbf", VALID),
    ("6.22.25", b"\xf3\x8f\xbf\xbe", VALID),
    ("6.22.26", b"\xf3\x8f\xbf\xbf", VALID),
    ("6.22.27", b"\xf3\x9f\xbf\xbe", VALID),
    ("6.22.28", b"\xf3\x9f\xbf\xbf", VALID),
    ("6.22.29", b"\xf3\xaf\xbf\xbe", VALID),
    ("6.22.30", b"\xf3\xaf\xbf\xbf", VALID),
    ("6.22.31", b"\xf3\xbf\xbf\xbe", VALID),
    ("6.22.32", b"\xf3\xbf\xbf\xbf", VALID),
    ("6.22.33", b"\xf4\x8f\xbf\xbe", VALID),
    ("6.22.34", b"\xf4\x8f\xbf\xbf", VALID),
    // Unicode specials (i.e. replacement char).
    ("6.23.1", b"\xef\xbf\xb9", VALID),
    ("6.23.2", b"\xef\xbf\xba", VALID),
    ("6.23.3", b"\xef\xbf\xbb", VALID),
    ("6.23.4", b"\xef\xbf\xbc", VALID),
    ("6.23.5", b"\xef\xbf\xbd", VALID),
    ("6.23.6", b"\xef\xbf\xbe", VALID),
    ("6.23.7", b"\xef\xbf\xbf", VALID),
];
