//! "Did you mean" suggestions.

/// The known name most similar to an unknown one, if it is similar enough.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (likeness, near) = names
        .map(|known| {
            (strsim::normalized_damerau_levenshtein(&name.to_lowercase(), &known.to_lowercase()), known)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness >= 0.6).then_some(near)
}
