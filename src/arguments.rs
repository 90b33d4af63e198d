//! The command line of the program.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::{
    auth::MintRequest,
    id::{Team, UserId},
    import::{Existing, Import, Mode, Origin},
    store::TableNames,
};

/// Live document collaboration server. Without a command, it serves clients.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// The address to listen on; overrides REALTIME_SERVER_HOST.
    #[arg(long)]
    host: Option<IpAddr>,
    /// The port to listen on; overrides REALTIME_SERVER_PORT. 0 means any free port.
    #[arg(long)]
    port: Option<u16>,
    /// A command to run instead of the server.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// A command that runs instead of the server.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Checks the settings; shows each with its value, without secrets, and where the value comes from.
    CheckConfig,
    /// Migrates the tables of the database.
    Migrate,
    /// Prints a token that this server accepts; requires a shared secret.
    Token(TokenArguments),
    /// Imports the documents of another server into DATABASE_URL, and verifies each; see docs/migrating.md.
    ///
    /// May be repeated: what is there already is not written again. Exits with 1 if a document was not imported.
    Import(ImportArguments),
}

/// Which documents are imported, and how.
#[derive(Args, Debug)]
pub struct ImportArguments {
    #[command(subcommand)]
    origin: OriginArguments,
}

/// How documents are imported, whatever their origin.
#[derive(Args, Debug)]
struct WayArguments {
    /// The team whose documents they become.
    #[arg(long, value_parser = team)]
    team: Team,
    /// The id of the user who is named as their author.
    #[arg(long, default_value = "import", value_parser = user)]
    author: UserId,
    /// Adds the content to documents of the same rooms that were not imported; without it, these are reported and stay as
    /// they are.
    #[arg(long)]
    merge: bool,
    /// Checks all documents and says what would be done; writes nothing, and needs no database.
    #[arg(long)]
    dry_run: bool,
}

/// The store of another server.
#[derive(Debug, Subcommand)]
enum OriginArguments {
    /// The server of y-websocket (YPERSISTENCE): a LevelDB folder.
    YWebsocket {
        /// The folder.
        folder: PathBuf,
        /// The beginning of the names that is no part of the rooms' names, such as `collab/`
        /// where clients used ws://host/collab/ROOM.
        #[arg(long, default_value = "")]
        prefix: String,
        #[command(flatten)]
        way: WayArguments,
    },
    /// Hocuspocus: the file of its extension SQLite, or the table of its extension Database.
    Hocuspocus {
        /// A SQLite file, or postgres://….
        database: String,
        /// The table.
        #[arg(long, default_value = "documents")]
        table: String,
        /// The column of the documents' names.
        #[arg(long, default_value = "name")]
        name_column: String,
        /// The column of their content.
        #[arg(long, default_value = "data")]
        data_column: String,
        #[command(flatten)]
        way: WayArguments,
    },
    /// y-sweet: a folder with a folder for each document.
    YSweet {
        /// The folder.
        folder: PathBuf,
        #[command(flatten)]
        way: WayArguments,
    },
}

/// The contents of a new token.
#[derive(Args, Debug)]
pub struct TokenArguments {
    /// The user's id.
    #[arg(long)]
    user: String,
    /// The name that others see; the id by default.
    #[arg(long)]
    name: Option<String>,
    /// The team; `default` by default.
    #[arg(long)]
    team: Option<String>,
    /// viewer, commenter, editor, reviewer, admin or service; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A permission for one room, or for all rooms with a prefix
    /// (`article-*=comment`); may be repeated.
    #[arg(long = "document", value_name = "ROOM=PERMISSION", value_parser = grant)]
    documents: Vec<(String, String)>,
    /// How long the token is valid, in seconds.
    #[arg(long, default_value_t = 3600)]
    ttl_seconds: u64,
}

impl Arguments {
    /// The settings given as flags, by the names of their variables.
    pub fn flags(&self) -> BTreeMap<&'static str, String> {
        let host = self.host.map(|host| host.to_string());
        let port = self.port.map(|port| port.to_string());
        [
            ("REALTIME_SERVER_HOST", host),
            ("REALTIME_SERVER_PORT", port),
        ]
        .into_iter()
        .filter_map(|(variable, flag)| Some((variable, flag?)))
        .collect()
    }
}

impl From<TokenArguments> for MintRequest {
    fn from(arguments: TokenArguments) -> Self {
        Self {
            user: arguments.user,
            name: arguments.name,
            team: arguments.team,
            roles: arguments.roles,
            documents: arguments.documents,
            ttl_seconds: arguments.ttl_seconds,
        }
    }
}

impl From<ImportArguments> for Import {
    fn from(arguments: ImportArguments) -> Self {
        match arguments.origin {
            OriginArguments::YWebsocket {
                folder,
                prefix,
                way,
            } => way.import(Origin::YWebsocket { folder, prefix }),
            OriginArguments::Hocuspocus {
                database,
                table,
                name_column,
                data_column,
                way,
            } => {
                let table = TableNames {
                    table,
                    name: name_column,
                    content: data_column,
                };
                way.import(Origin::Hocuspocus { database, table })
            }
            OriginArguments::YSweet { folder, way } => way.import(Origin::YSweet { folder }),
        }
    }
}

impl WayArguments {
    fn import(self, origin: Origin) -> Import {
        Import {
            origin,
            team: self.team,
            author: self.author,
            existing: match self.merge {
                true => Existing::Merge,
                false => Existing::Skip,
            },
            mode: match self.dry_run {
                true => Mode::DryRun,
                false => Mode::Write,
            },
        }
    }
}

fn team(text: &str) -> Result<Team, &'static str> {
    Team::parse(text).ok_or("expected 1 to 255 bytes without control characters")
}

fn user(text: &str) -> Result<UserId, &'static str> {
    UserId::parse(text).ok_or("expected 1 to 255 bytes without control characters")
}

fn grant(text: &str) -> Result<(String, String), &'static str> {
    let (room, permission) = text.rsplit_once('=').ok_or("expected ROOM=PERMISSION")?;
    Ok((room.to_owned(), permission.to_owned()))
}
