//! The commands as processes: exit status, what they print, and what they leave alone.

use std::process::{Command, Output};

fn huggate(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_huggate")).args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_stand_in_and_the_demo_refuse_other_than_loopback_addresses_before_they_open_a_socket() {
    // The port is taken, so that an attempt to bind would fail in another way.
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for command in ["hub", "demo"] {
        for host in ["0.0.0.0", "[::]", "192.0.2.1", "[2001:db8::1]", "[::ffff:127.0.0.1]"] {
            let refused = huggate(&[command, "--listen", &format!("{host}:{port}")]);
            let text = stderr(&refused);
            assert_eq!(refused.status.code(), Some(2), "{command} {host}: {text}");
            assert!(
                text.contains(&format!("{host}:{port}")) && text.contains("sign in as any user"),
                "{text}"
            );
            assert!(refused.stdout.is_empty());
        }
        for name in ["localhost:4180", "127.0.0.1", "4180"] {
            let refused = huggate(&[command, "--listen", name]);
            let text = stderr(&refused);
            assert_eq!(refused.status.code(), Some(2), "{command} {name}: {text}");
            assert!(text.contains(name) && text.contains("write it like 127.0.0.1:4180"), "{text}");
        }
    }
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    for host in ["127.0.0.1", "[::1]"] {
        // Not every machine has IPv6.
        let Ok(taken) = std::net::TcpListener::bind(format!("{host}:0")) else { continue };
        let address = taken.local_addr().unwrap().to_string();
        for command in ["hub", "demo"] {
            let refused = huggate(&[command, "--listen", &address]);
            let text = stderr(&refused);
            assert_eq!(refused.status.code(), Some(1), "{command}: {text}");
            assert!(text.contains(&format!("cannot listen on {address}")), "{text}");
            assert!(
                text.contains("another process listens there: stop it, or choose another address"),
                "{text}"
            );
        }
    }
}
