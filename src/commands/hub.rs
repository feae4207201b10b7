//! `huggate hub`: the stand-in for huggingface.co, alone.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use huggate::hub::{Client, Hub, Settings, users_table};

use super::failure::Failure;
use super::listen::listen;
use super::output::print;
use super::runtime::runtime;
use super::shutdown::shutdown_signal;

/// Arguments of `huggate hub`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where to listen; an address of this machine alone
    #[arg(long, default_value = "127.0.0.1:4182", value_name = "ADDR")]
    listen: SocketAddr,
    /// People of your own, instead of the built-in ones
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
}

/// The built-in people, for `--help`.
pub(crate) fn people() -> String {
    let people = users_table(&Settings::default().users);
    format!("Who can sign in, and their user access tokens (--users FILE brings other people):\n\n{people}")
}

/// Runs until it is asked to stop.
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
        let hub = Hub::start(listener, settings)
            .await
            .map_err(|error| Failure::Configuration(error.to_string()))?;
        let client = Client::for_development("An app under development");
        let (id, secret) = (client.id.clone(), client.secret.clone().unwrap_or_default());
        hub.register(client);
        print(&format!(
            "\nA stand-in for huggingface.co listens at {issuer}\n\
             \n\
             Put this into config.toml, or give it to any OAuth client:\n\
             \n\
             [provider]\n\
             issuer        = \"{issuer}\"\n\
             client_id     = \"{id}\"\n\
             client_secret = \"{secret}\"\n\
             \n\
             Any redirect URL on http://localhost or http://127.0.0.1 is accepted.\n\
             \n\
             Who can sign in, and their user access tokens, for its API:\n\n{people}\n\
             Ctrl-C ends it.\n",
            issuer = hub.issuer(),
            people = users_table(&hub.users()),
        ));
        shutdown_signal().await;
        hub.stop().await;
        Ok(String::new())
    })
}
