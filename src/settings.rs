//! The sources of settings. Only this module reads the environment.

use std::{collections::BTreeMap, fs, io, path::Path};

use crate::config::{self, ConfigError, Source};

/// The sources of settings, by falling precedence: flags, the environment, the
/// `.env` file of the working directory, and a random instance name for this start.
#[derive(Debug)]
pub struct Settings {
    flags: BTreeMap<&'static str, String>,
    file: BTreeMap<String, String>,
    instance: String,
}

impl Settings {
    /// Reads the `.env` file, if there is one. `flags` take precedence.
    ///
    /// # Errors
    /// The file cannot be read. The error does not quote its content.
    pub fn collect(flags: BTreeMap<&'static str, String>) -> Result<Self, ConfigError> {
        Ok(Self {
            flags,
            file: dotenv(Path::new(".env"))?,
            instance: format!("{:08x}", rand::random::<u32>()),
        })
    }

    /// Reads the `.env` file again. Flags, the environment and the instance stay the same.
    ///
    /// # Errors
    /// As [`collect`](Self::collect).
    pub fn again(&self) -> Result<Self, ConfigError> {
        Ok(Self {
            flags: self.flags.clone(),
            file: dotenv(Path::new(".env"))?,
            instance: self.instance.clone(),
        })
    }

    /// Where the value of a variable comes from, in a word; `None` where the default is used.
    pub fn origin(&self, variable: &str) -> Option<&'static str> {
        let is_set = |value: Option<String>| value.is_some_and(|value| !value.trim().is_empty());
        // As in `get`: an empty value hides those of the sources behind it.
        if let Some(flag) = self.flags.get(variable) {
            return is_set(Some(flag.clone())).then_some("flag");
        }
        if let Some(value) = environment(variable) {
            return is_set(Some(value)).then_some("environment");
        }
        is_set(self.file.get(variable).cloned()).then_some(".env")
    }

    /// Calls `report` with a warning for each variable that is set and is probably the
    /// misspelt name of a setting.
    pub fn report_misspelt(&self, mut report: impl FnMut(String)) {
        for name in environment_names().iter().chain(self.file.keys()) {
            if let Some(similar) = config::similar_to(name) {
                report(format!("{name} is not a setting; did you mean {similar}?"));
            }
        }
    }
}

impl Source for Settings {
    fn get(&self, variable: &str) -> Option<String> {
        let instance = || (variable == "REALTIME_INSTANCE").then(|| self.instance.clone());
        self.flags
            .get(variable)
            .cloned()
            .or_else(|| environment(variable))
            .or_else(|| self.file.get(variable).cloned())
            .filter(|value| !value.is_empty())
            .or_else(instance)
    }

    fn read_file(&self, path: &Path) -> io::Result<String> {
        fs::read_to_string(path)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn environment(variable: &str) -> Option<String> {
    std::env::var_os(variable).map(|value| value.to_string_lossy().into_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn environment_names() -> Vec<String> {
    std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .collect()
}

/// The variables in the file at `path`; none if there is no such file.
fn dotenv(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    // The library's own message would quote the line, which may hold a secret.
    let malformed = |_| ConfigError {
        variable: ".env",
        expected: "readable lines such as NAME='value'".into(),
        got: "another text".into(),
    };
    match dotenvy::from_path_iter(path) {
        Ok(lines) => lines.collect::<Result<_, _>>().map_err(malformed),
        Err(error) if error.not_found() => Ok(BTreeMap::new()),
        Err(error) => Err(malformed(error)),
    }
}
