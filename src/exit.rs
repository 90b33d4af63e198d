//! How the process ends, as its exit code tells.

use std::{error::Error as StdError, process::ExitCode};

use crate::{config::ConfigError, error::Error};

/// The end of the process. Wrong arguments end it with 2, which is clap's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All went well: 0.
    Done,
    /// It did not, or something could not be written: 1.
    Failed,
    /// A task without which the server cannot go on has died: 70, the internal software
    /// error of sysexits.h. Started anew, it may well serve.
    TaskDied,
    /// The settings are wrong: 78, the configuration error of sysexits.h. Starting again
    /// does not help.
    WrongSettings,
}

impl Exit {
    /// The code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::TaskDied => 70,
            Exit::WrongSettings => 78,
        }
    }

    /// The end that `error` brings.
    pub fn after(error: &(dyn StdError + 'static)) -> Self {
        // Some settings show only in use that they cannot work.
        let invalid = matches!(error.downcast_ref(), Some(Error::Invalid { .. }));
        match invalid || error.is::<ConfigError>() {
            true => Exit::WrongSettings,
            false => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_settings_are_to_blame_for_counts_as_wrong_settings() {
        let setting = ConfigError {
            variable: "RUST_LOG",
            expected: "a level".into(),
            got: "nothing".into(),
        };
        let invalid = Error::Invalid {
            field: "DATABASE_URL",
            reason: "is no address",
        };
        let away = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        assert_eq!(Exit::after(&setting), Exit::WrongSettings);
        assert_eq!(Exit::after(&invalid), Exit::WrongSettings);
        assert_eq!(Exit::after(&Error::StorageUnavailable), Exit::Failed);
        assert_eq!(Exit::after(&away), Exit::Failed);
    }
}
