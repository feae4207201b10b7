//! `huggate completions`: shell completion scripts.

use clap::Command;
use clap_complete::Shell;

/// The completion script of `command` for `shell`.
pub(crate) fn completions(shell: Shell, command: &mut Command) -> String {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, command, name, &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_a_script_with_the_commands() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let mut command = Command::new("huggate").subcommand(Command::new("explain"));
            assert!(completions(shell, &mut command).contains("explain"), "{shell}");
        }
    }
}
