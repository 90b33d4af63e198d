//! What the program is asked for on its command line.

use std::{collections::BTreeMap, net::IpAddr};

use clap::{Args, Parser, Subcommand};

use crate::auth::MintRequest;

/// Live document collaboration server. Without a command, it serves.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// The address to listen on, over REALTIME_SERVER_HOST.
    #[arg(long)]
    host: Option<IpAddr>,
    /// The port to listen on, over REALTIME_SERVER_PORT; 0 is any free one.
    #[arg(long)]
    port: Option<u16>,
    /// What to do instead of serving.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program does instead of serving.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Checks the settings, shows them without secrets, and ends.
    CheckConfig,
    /// Brings the database's tables up to date, and ends.
    Migrate,
    /// Prints a token that this server would accept; needs a shared secret.
    Token(TokenArguments),
}

/// Whom a token is for.
#[derive(Args, Debug)]
pub struct TokenArguments {
    /// The user's id.
    #[arg(long)]
    user: String,
    /// The name that others see; without it, the id.
    #[arg(long)]
    name: Option<String>,
    /// The team; without it, `default`.
    #[arg(long)]
    team: Option<String>,
    /// viewer, commenter, editor, reviewer, admin or service; may be repeated.
    #[arg(long = "role", value_name = "ROLE")]
    roles: Vec<String>,
    /// A permission for one room, or for all whose names start alike
    /// (`article-*=comment`); may be repeated.
    #[arg(long = "document", value_name = "ROOM=PERMISSION", value_parser = grant)]
    documents: Vec<(String, String)>,
    /// How long the token is valid.
    #[arg(long, default_value_t = 3600)]
    ttl_seconds: u64,
}

impl Arguments {
    /// The settings that were given as flags, by their variables.
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
