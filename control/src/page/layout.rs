//! The frame around every page: head, navigation, main.

use maud::{DOCTYPE, Markup, html};

use super::{
    assets::File,
    elsewhere,
    reader::{Reader, Section},
};

/// What stands around a page's own content.
pub(super) struct Frame<'a> {
    /// What the window is called.
    pub(super) title: &'a str,
    /// Who is signed in, and which part of the administration they look at.
    pub(super) inside: Option<(&'a Reader, Section)>,
    /// Where the page is within the part: what the pages above it are called and where they are, from the outermost.
    pub(super) above: &'a [(&'a str, &'a str)],
    /// The style sheets that it needs besides those of every page.
    pub(super) styles: &'a [File],
    /// The scripts that it needs besides the one of every page.
    pub(super) scripts: &'a [File],
    /// What has just been done, where something has.
    pub(super) done: &'a str,
}

impl<'a> Frame<'a> {
    /// Of the first page of a part.
    pub(super) const fn of(reader: &'a Reader, section: Section) -> Self {
        Self { title: section.title(), inside: Some((reader, section)), above: &[], styles: &[], scripts: &[], done: "" }
    }
}

/// A whole document. The script is loaded only where somebody is signed in: the other pages do nothing.
pub(super) fn document(frame: &Frame<'_>, main: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (frame.title) " · Keyward" }
                link rel="icon" href="data:,";
                @for style in File::STYLES.iter().chain(frame.styles) { link rel="stylesheet" href=(style.url()); }
                // Scripts write times in the reader's zone: before anything is seen, or what is seen would jump.
                @if frame.inside.is_some() {
                    script type="module" src=(File::Ui.url()) blocking="render" {}
                    @for script in frame.scripts { script type="module" src=(script.url()) blocking="render" {} }
                }
            }
            // The script's calls go to the company that is looked at.
            body data-company=[frame.inside.and_then(|(reader, _)| reader.elsewhere.as_deref())] {
                a.skip href="#main" { "Skip to the content" }
                header.container {
                    nav aria-label="Account" {
                        ul { li { strong { "Keyward" } } }
                        @if let Some((reader, _)) = frame.inside {
                            ul {
                                li.who { a href=(super::ACCOUNT_PATH) { (reader.name()) " · " (reader.company_name()) } }
                                li {
                                    form.plain method="post" action="/sign-out" {
                                        button.secondary.outline.small type="submit" { "Sign out" }
                                    }
                                }
                            }
                        }
                    }
                }
                @if let Some((reader, section)) = frame.inside {
                    (navigation(reader, section))
                    (notice_of_elsewhere(reader, section))
                }
                main #main.container tabindex="-1" {
                    @if let Some((reader, section)) = frame.inside {
                        (breadcrumb(frame, reader, section))
                        p #status role="status" { (frame.done) }
                    }
                    (main)
                }
            }
        }
    }
    .into_string();
    #[cfg(test)]
    assert_eq!(super::assets::undressed(&page, frame.styles), [""; 0], "a style sheet is not named");
    match frame.inside {
        Some((Reader { elsewhere: Some(company), .. }, section)) if section.is_of_a_company() => elsewhere::page(&page, company),
        _ => page,
    }
}

/// The parts of the administration, where the reader has more than one.
fn navigation(reader: &Reader, current: Section) -> Markup {
    let sections: Vec<_> = Section::of(reader).collect();
    html! {
        @if sections.len() > 1 {
            nav.sections.container aria-label="Administration" {
                ul {
                    @for section in sections {
                        li { a href=(section.address(reader)) aria-current=[(section == current).then_some("true")] { (section.title()) } }
                    }
                }
            }
        }
    }
}

/// Says it where somebody looks at another company than their own.
fn notice_of_elsewhere(reader: &Reader, section: Section) -> Markup {
    html! {
        @if let Some(company) = reader.elsewhere.as_ref().filter(|_| section.is_of_a_company()) {
            aside.elsewhere.container aria-label="Another company" {
                p {
                    "You are acting in the company " strong { (company) } ". "
                    a data-own href=(section.path()) { "Back to your own" }
                }
            }
        }
    }
}

fn breadcrumb(frame: &Frame<'_>, reader: &Reader, section: Section) -> Markup {
    let is_first = frame.above.is_empty() && frame.title == section.title();
    html! {
        nav.breadcrumb aria-label="Breadcrumb" {
            ul {
                li { "Administration" }
                @if !is_first { li { a href=(section.address(reader)) { (section.title()) } } }
                @for (title, path) in frame.above { li { a href=(path) { (title) } } }
                li aria-current="page" { (frame.title) }
            }
        }
    }
}
