//! The command line of the program.

use std::{collections::BTreeMap, net::IpAddr};

use clap::{Args, Parser, Subcommand};

use crate::auth::MintRequest;

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

fn grant(text: &str) -> Result<(String, String), &'static str> {
    let (room, permission) = text.rsplit_once('=').ok_or("expected ROOM=PERMISSION")?;
    Ok((room.to_owned(), permission.to_owned()))
}
