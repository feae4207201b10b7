//! `huggate secret`: a fresh session secret.

/// 32 random bytes in base64, as `session.secret` takes them.
pub(crate) fn secret() -> String {
    huggate::keys::Secret::generate()
}

#[cfg(test)]
mod tests {
    use huggate::keys::Secret;

    #[test]
    fn every_secret_is_new_and_one_that_the_configuration_takes() {
        let (one, other) = (super::secret(), super::secret());
        assert_ne!(one, other);
        assert!(Secret::parse(&one).is_ok());
    }
}
