//! Parts of forms: a field with its label, its help and what is wrong with it, and what is wrong with the whole.

use maud::{Markup, html};

/// What is wrong with a form that was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// Sentences about the whole.
    pub general: Vec<String>,
    /// Field of the API and sentence.
    pub fields: Vec<(String, String)>,
}

impl Problems {
    /// What is wrong with a field; of a list (`permissions[2]`) with any of its entries.
    pub fn of(&self, field: &str) -> Option<&str> {
        let is_it = |name: &str| name.strip_prefix(field).is_some_and(|rest| rest.is_empty() || rest.starts_with(['[', '.']));
        self.fields.iter().find(|(name, _)| is_it(name)).map(|(_, detail)| detail.as_str())
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.general.is_empty() && self.fields.is_empty()
    }
}

/// What a control in [`field`] has to carry: `id`, `aria-describedby`, `aria-invalid`.
pub(super) struct Marks {
    pub(super) id: String,
    pub(super) described_by: String,
    pub(super) invalid: Option<&'static str>,
}

/// A labelled control with its help and what is wrong with it. `id` is the control's, one of its own on the page.
pub(super) fn field(id: &str, label: &str, help: &str, problem: Option<&str>, control: impl FnOnce(&Marks) -> Markup) -> Markup {
    let (help_id, problem_id) = (format!("{id}-help"), format!("{id}-problem"));
    let described_by = [(!help.is_empty()).then_some(&help_id), problem.map(|_| &problem_id)];
    let marks = Marks {
        id: id.to_owned(),
        described_by: described_by.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" "),
        invalid: problem.map(|_| "true"),
    };
    html! {
        label for=(id) { (label) }
        (control(&marks))
        @if !help.is_empty() { small id=(help_id) { (help) } }
        @if let Some(problem) = problem { small.problem id=(problem_id) { (problem) } }
    }
}

/// A form that searches: on a phone folded until it is wanted, so that what there is comes first; open where it leaves something out.
pub(super) fn folds(is_open: bool, search: &Markup) -> Markup {
    html! { details.folds open[is_open] { summary { "Search and filter" } (search) } }
}

/// What is wrong with the whole, and with fields that the form `shows` not.
pub(super) fn problems(problems: &Problems, shows: &[&str]) -> Markup {
    let hidden = problems.fields.iter().filter(|(name, _)| !shows.iter().any(|shown| name.split(['[', '.']).next() == Some(*shown)));
    let sentences: Vec<_> = problems.general.iter().cloned().chain(hidden.map(|(name, detail)| format!("{name}: {detail}"))).collect();
    html! {
        @if !problems.is_empty() {
            div.alert role="alert" {
                @if sentences.is_empty() { p { "Something is not right yet: see below." } }
                @for sentence in &sentences { p { (sentence) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong() -> Problems {
        Problems { general: vec![], fields: vec![("permissions[2]".into(), "is none".into()), ("name".into(), "is <required>".into())] }
    }

    #[test]
    fn a_field_says_what_is_wrong_with_it_also_to_those_who_listen() {
        let text = |problem| {
            field("create-name", "Name", "What for", problem, |marks| {
                html! { input id=(marks.id) aria-describedby=(marks.described_by) aria-invalid=[marks.invalid]; }
            })
            .into_string()
        };
        let wrong = wrong();
        let html = text(wrong.of("name"));
        assert!(html.contains(r#"aria-describedby="create-name-help create-name-problem" aria-invalid="true""#), "{html}");
        assert!(html.contains("is &lt;required&gt;"));
        assert!(text(None).contains(r#"aria-describedby="create-name-help""#) && !text(None).contains("invalid"));
    }

    #[test]
    fn what_no_field_shows_is_said_for_the_whole() {
        assert_eq!((wrong().of("permissions"), wrong().of("perm")), (Some("is none"), None));
        let html = problems(&wrong(), &["name"]).into_string();
        assert!(html.contains("permissions[2]: is none") && !html.contains("required"));
        assert!(problems(&wrong(), &["name", "permissions"]).into_string().contains("see below"));
        assert_eq!(problems(&Problems::default(), &[]).into_string(), "");
    }

    #[test]
    fn a_search_is_open_where_something_is_looked_for() {
        let form = html! { form { "<" } };
        assert_eq!(
            folds(false, &form).into_string(),
            "<details class=\"folds\"><summary>Search and filter</summary><form>&lt;</form></details>"
        );
        assert!(folds(true, &form).into_string().starts_with("<details class=\"folds\" open>"));
    }
}
