//! `huggate secret`: a new session secret.

/// 32 random bytes in base64, in the format of `session.secret`.
pub(crate) fn secret() -> String {
    huggate::keys::Secret::generate()
}

#[cfg(test)]
mod tests {
    use huggate::keys::Secret;

    #[test]
    fn every_secret_is_new_and_accepted_by_the_configuration() {
        let (one, other) = (super::secret(), super::secret());
        assert_ne!(one, other);
        assert!(Secret::parse(&one).is_ok());
    }
}
