//! Reads single variables: their text, their parsed value, or a [`ConfigError`] that names them.
//!
//! An empty variable counts as unset, so that a compose file may pass on variables
//! that its own environment does not have. An error never shows a secret's value.

use std::{collections::BTreeMap, fmt, io, ops::RangeInclusive, path::Path, str::FromStr};

/// A source of settings: a lookup of variables, and of the files that some of them name.
pub trait Source {
    /// The variable's value, if it is set.
    fn get(&self, variable: &str) -> Option<String>;

    /// The text of the file at `path`.
    ///
    /// # Errors
    /// The file cannot be read, or is not UTF-8.
    fn read_file(&self, path: &Path) -> io::Result<String>;
}

/// Settings in a map: the values of variables, and the contents of files under their paths.
impl Source for BTreeMap<&str, &str> {
    fn get(&self, variable: &str) -> Option<String> {
        BTreeMap::get(self, variable).map(|value| (*value).to_owned())
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        path.to_str()
            .and_then(|path| Source::get(self, path))
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// An invalid setting: its name, the expected and the actual value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The variable; several names where any of them could be set.
    pub variable: &'static str,
    /// A description of the valid values.
    pub expected: String,
    /// The actual value. A secret is described, never shown.
    pub got: String,
}

impl ConfigError {
    /// An error that shows the value `got`.
    pub(super) fn shown(variable: &'static str, expected: impl Into<String>, got: &str) -> Self {
        Self::described(variable, expected, format!("{got:?}"))
    }

    /// An error that only describes the value by `got`, because it is secret or absent.
    pub(super) fn described(
        variable: &'static str,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        Self {
            variable,
            expected: expected.into(),
            got: got.into(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            variable,
            expected,
            got,
        } = self;
        write!(f, "{variable}: expected {expected}, got {got}")
    }
}

impl std::error::Error for ConfigError {}

/// Reads single variables of a [`Source`].
pub(super) struct Reader<'a> {
    source: &'a dyn Source,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a dyn Source) -> Self {
        Self { source }
    }

    /// The unchanged value; `None` if it is unset or blank.
    pub(super) fn raw(&self, variable: &'static str) -> Result<Option<String>, ConfigError> {
        match self.source.get(variable) {
            Some(value) if value.trim().is_empty() => Ok(None),
            // A source replaces bytes that are not UTF-8 with this character.
            Some(value) if value.contains(char::REPLACEMENT_CHARACTER) => {
                let got = "other bytes";
                Err(ConfigError::described(variable, "UTF-8 text", got))
            }
            found => Ok(found),
        }
    }

    /// The value without surrounding spaces.
    pub(super) fn text(&self, variable: &'static str) -> Result<Option<String>, ConfigError> {
        Ok(self.raw(variable)?.map(|value| value.trim().to_owned()))
    }

    /// A whole number within `range`, or `default`.
    pub(super) fn number<N>(
        &self,
        variable: &'static str,
        default: N,
        range: RangeInclusive<N>,
    ) -> Result<N, ConfigError>
    where
        N: FromStr + PartialOrd + fmt::Display,
    {
        let Some(text) = self.text(variable)? else {
            return Ok(default);
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => {
                let (from, to) = range.into_inner();
                let expected = format!("a whole number from {from} to {to}");
                Err(ConfigError::shown(variable, expected, &text))
            }
        }
    }

    /// The choice whose word in `choices` is the value; `None` if it is unset.
    pub(super) fn choice<T: Copy>(
        &self,
        variable: &'static str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(variable)? else {
            return Ok(None);
        };
        let chosen = choices.iter().find(|(word, _)| *word == text);
        chosen.map(|(_, choice)| Some(*choice)).ok_or_else(|| {
            let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
            ConfigError::shown(variable, words.join(" or "), &text)
        })
    }

    /// An `http://` or `https://` address. Since it may hold a password, an error does not show it.
    pub(super) fn web_address(
        &self,
        variable: &'static str,
    ) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(variable)? else {
            return Ok(None);
        };
        let web = text.parse().is_ok_and(|address: http::Uri| {
            matches!(address.scheme_str(), Some("http" | "https")) && address.host().is_some()
        });
        if web {
            return Ok(Some(text));
        }
        let expected = "an address that starts with http:// or https://";
        Err(ConfigError::described(variable, expected, "another text"))
    }

    /// The text of the file at `path`, which `variable` names.
    pub(super) fn file(&self, variable: &'static str, path: &str) -> Result<String, ConfigError> {
        self.source.read_file(Path::new(path)).map_err(|error| {
            let got = format!("{path:?} ({error})");
            ConfigError::described(variable, "the path of a readable file", got)
        })
    }
}
