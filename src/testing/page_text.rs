//! The text of a page, for the message of a test that fails.

/// What a person reads on a page; another document unchanged.
pub(super) fn page_text(document: &str) -> String {
    let Some((_, body)) = document.split_once("<body") else { return document.trim().to_owned() };
    let mut text = String::new();
    // What follows each `<` is a tag and the text after it.
    for part in body.split('<').skip(1) {
        let Some((tag, after)) = part.split_once('>') else { continue };
        let is_text = !["style", "script", "title"].iter().any(|name| tag.starts_with(name));
        if is_text {
            text.push_str(after);
        }
        // The end of an inline element does not end a word.
        if !["a", "/a", "b", "/b", "code", "/code", "strong", "/strong", "em", "/em"]
            .contains(&tag.split(' ').next().unwrap_or_default())
        {
            text.push(' ');
        }
    }
    let text = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
        .into_iter()
        .fold(text, |text, (entity, character)| text.replace(entity, character));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_a_person_reads_it() {
        let page = "<!doctype html><html><head><title>x</title></head><body class=\"a\">\n<style>p { }</style>\
                    <h1>No access</h1><p>Ask <a href=\"/x\">acme</a>, &amp; wait.</p></body></html>";
        assert_eq!(page_text(page), "No access Ask acme, & wait.");
        assert_eq!(page_text("{\"error\": \"a < b\"}\n"), "{\"error\": \"a < b\"}");
    }
}
