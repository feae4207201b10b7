//! `huggate hub`: the stand-in for huggingface.co, alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use huggate::hub::{Client, Hub, Settings, users_table};

use super::failure::Failure;
use super::listen::listen;
use super::loopback::loopback;
use super::output::print;
use super::runtime::runtime;
use super::shutdown::shutdown_signal;

/// Arguments of `huggate hub`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Listen address; loopback only
    #[arg(long, default_value = "127.0.0.1:4182", value_name = "ADDR", value_parser = loopback)]
    listen: SocketAddr,
    /// Users file to use instead of the built-in users
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
}

/// The built-in users, for `--help`.
pub(crate) fn users_help() -> String {
    let users = users_table(&Settings::default().users);
    format!("Users and their access tokens (use --users FILE for others):\n\n{users}")
}

/// Runs until a shutdown signal.
pub(crate) fn run(arguments: &Arguments) -> Result<String, Failure> {
    let settings = match &arguments.users {
        None => Settings::default(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Failure::Configuration(format!("{}: {error}", path.display())))?;
            Settings::from_users_toml(&text)
                .map_err(|error| Failure::Configuration(format!("{}: {error}", path.display())))?
        }
    };
    runtime()?.block_on(async {
        let listener = listen(arguments.listen).await?;
        let hub = Hub::start(listener, settings).await.map_err(|error| Failure::configuration(&error))?;
        let client = Client::for_development("An app under development");
        let (id, secret) = (client.id.clone(), client.secret.clone().unwrap_or_default());
        hub.register(client);
        print(&format!(
            "\nThe stand-in for huggingface.co listens at {issuer}\n\
             \n\
             Put this into config.toml, or configure any OAuth client with it:\n\
             \n\
             [provider]\n\
             issuer        = \"{issuer}\"\n\
             client_id     = \"{id}\"\n\
             client_secret = \"{secret}\"\n\
             \n\
             Any redirect URL on http://localhost or http://127.0.0.1 is accepted.\n\
             \n\
             Users and their access tokens for its API:\n\n{users}\n\
             Press Ctrl-C to stop.\n",
            issuer = hub.issuer(),
            users = users_table(&hub.users()),
        ));
        shutdown_signal().await;
        hub.stop().await;
        Ok(String::new())
    })
}
