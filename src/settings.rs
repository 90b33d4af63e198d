//! Where settings come from: the one place that reads the environment.

use std::{collections::BTreeMap, fs, io, path::Path};

use crate::config::{self, ConfigError, Source};

/// The sources of settings, the strongest first: flags, the environment, the
/// `.env` file of the working directory, and a name drawn for this start.
#[derive(Debug)]
pub struct Settings {
    flags: BTreeMap<&'static str, String>,
    file: BTreeMap<String, String>,
    instance: String,
}

impl Settings {
    /// Reads the `.env` file, if there is one, and puts `flags` before it.
    ///
    /// # Errors
    /// The file cannot be read; its content is not quoted.
    pub fn collect(flags: BTreeMap<&'static str, String>) -> Result<Self, ConfigError> {
        Ok(Self {
            flags,
            file: dotenv(Path::new(".env"))?,
            instance: format!("{:08x}", rand::random::<u32>()),
        })
    }

    /// Tells of each variable that is set and looks like one of ours misspelt.
    pub fn report_slips(&self, mut report: impl FnMut(String)) {
        for name in environment_names().iter().chain(self.file.keys()) {
            if let Some(meant) = config::meant_by(name) {
                report(format!("{name} is not a setting; is {meant} meant?"));
            }
        }
    }
}

impl Source for Settings {
    fn get(&self, variable: &str) -> Option<String> {
        let drawn = || (variable == "REALTIME_INSTANCE").then(|| self.instance.clone());
        self.flags
            .get(variable)
            .cloned()
            .or_else(|| environment(variable))
            .or_else(|| self.file.get(variable).cloned())
            .filter(|value| !value.is_empty())
            .or_else(drawn)
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

/// The variables in the file at `path`, none where there is no such file.
fn dotenv(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    // The library's own message would quote the line, and with it a secret.
    let wrong = |_| ConfigError {
        variable: ".env",
        expected: "readable lines such as NAME='value'".into(),
        got: "something else".into(),
    };
    match dotenvy::from_path_iter(path) {
        Ok(lines) => lines.collect::<Result<_, _>>().map_err(wrong),
        Err(error) if error.not_found() => Ok(BTreeMap::new()),
        Err(error) => Err(wrong(error)),
    }
}
