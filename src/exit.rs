//! The exit codes of the process.

use std::{error::Error as StdError, process::ExitCode};

use crate::{config::ConfigError, error::Error};

/// The result of the process, as its exit code. With wrong arguments, clap exits with 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success: 0.
    Done,
    /// A failure, or accepted updates that could not be written: 1.
    Failed,
    /// A task that the server depends on has died: 70, the internal software error of
    /// sysexits.h. A restart may help.
    TaskDied,
    /// The settings are wrong: 78, the configuration error of sysexits.h. A restart does
    /// not help.
    WrongSettings,
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::TaskDied => 70,
            Exit::WrongSettings => 78,
        }
    }

    /// The result of a process that failed with `error`.
    pub fn after(error: &(dyn StdError + 'static)) -> Self {
        // Some settings prove invalid only when they are used.
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
    fn only_errors_caused_by_settings_count_as_wrong_settings() {
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
