//! A form as browsers send it (`application/x-www-form-urlencoded`).

use keyward_shared::problem::Code;

use super::super::{Answer, MAX_BODY, Request};

/// Names and values in the order in which they were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a request's body.
    pub(super) fn read(request: &Request) -> Result<Self, Answer> {
        if request.body.len() > MAX_BODY {
            return Err(request.refuse(Code::TooLarge, "a form may have at most 1 MiB"));
        }
        let media_type = request.headers.content_type.as_deref().unwrap_or_default();
        if !media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(request.refuse(Code::UnsupportedMediaType, "this is not a form"));
        }
        Ok(Self(form_urlencoded::parse(&request.body).into_owned().collect()))
    }

    /// The field's value without white space around it; empty where it was not sent. Of several the first one counts.
    pub(super) fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.trim()).unwrap_or_default()
    }

    /// All values of a field that may be there several times.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.trim())
    }

    /// Everything that was sent.
    pub(super) fn sent(&self) -> &[(String, String)] {
        &self.0
    }

    /// Whether a box was ticked, or a button of this name pressed.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::super::tests::request, *};

    fn form(content_type: &str, body: &str) -> Result<Form, Answer> {
        let mut request = request("POST", "/admin/keys");
        request.headers.content_type = Some(content_type.into());
        request.body = body.into();
        Form::read(&request)
    }

    #[test]
    fn a_form_gives_texts_lists_and_boxes() {
        let form = form("application/x-www-form-urlencoded; charset=UTF-8", "name=+a%26b+&x=1&x=2&on=&caf%C3%A9=y").unwrap();
        assert_eq!((form.text("name"), form.text("gone"), form.text("x"), form.text("café")), ("a&b", "", "1", "y"));
        assert_eq!(form.all("x").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((form.has("on"), form.has("off")), (true, false));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        assert_eq!(form("text/plain", "a=b").unwrap_err().status, 415);
        assert_eq!(form("application/x-www-form-urlencoded", &"a".repeat(MAX_BODY + 1)).unwrap_err().status, 413);
    }
}
