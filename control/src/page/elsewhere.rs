//! Where the operator acts in another company, every way on keeps it: links, forms and redirects get `?company=` here, in one place, so that no
//! page can forget it.

/// What stands under these is a company's; the rest of the administration is the deployment's, or the reader's own.
const OF_A_COMPANY: [&str; 5] = ["/admin/keys", "/admin/owners", "/admin/audit", "/admin/webhooks", "/v1/audit"];

/// The address with the company, where it is one of a company's and names none.
pub(crate) fn address(path: &str, company: &str) -> String {
    with_company(path, company, "&").unwrap_or_else(|| path.to_owned())
}

/// Marks a link that leads back to one's own company.
pub(super) const OWN: &str = "data-own";

/// A page whose links and forms lead to the same company. Attributes are recognized by how the templates write them; text cannot look like one,
/// because its quotation marks are escaped.
pub(super) fn page(html: &str, company: &str) -> String {
    let mut page = String::with_capacity(html.len() + 1_024);
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        let end = rest[open..].find('>').map_or(rest.len(), |end| open + end + 1);
        page.push_str(&rest[..open]);
        page.push_str(&tag(&rest[open..end], company));
        rest = &rest[end..];
    }
    page.push_str(rest);
    page
}

fn tag(tag: &str, company: &str) -> String {
    if tag.contains(OWN) {
        return tag.to_owned();
    }
    let Some((before, path, after)) = [" href=\"", " action=\""].into_iter().find_map(|name| attribute(tag, name)) else {
        return tag.to_owned();
    };
    if tag.starts_with("<form") && tag.contains("method=\"get\"") {
        // A form that is sent with GET has its own query.
        let hidden = maud::html! { input type="hidden" name="company" value=(company); }.into_string();
        return if is_of_a_company(path) { tag.to_owned() + &hidden } else { tag.to_owned() };
    }
    with_company(path, company, "&amp;").map_or_else(|| tag.to_owned(), |path| format!("{before}{path}{after}"))
}

fn attribute<'t>(tag: &'t str, name: &str) -> Option<(&'t str, &'t str, &'t str)> {
    let start = tag.find(name)? + name.len();
    let end = start + tag[start..].find('"')?;
    Some((&tag[..start], &tag[start..end], &tag[end..]))
}

fn with_company(path: &str, company: &str, and: &str) -> Option<String> {
    let (address, fragment) = path.find('#').map_or((path, ""), |at| path.split_at(at));
    let names_one = address
        .split_once('?')
        .is_some_and(|(_, query)| query.split('&').any(|part| part.trim_start_matches("amp;").starts_with("company=")));
    if names_one || !is_of_a_company(path) {
        return None;
    }
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("company", company).finish();
    Some(format!("{address}{}{query}{fragment}", if address.contains('?') { and } else { "?" }))
}

fn is_of_a_company(path: &str) -> bool {
    OF_A_COMPANY.iter().any(|of| path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_within_a_company_keeps_it_and_no_other_is_changed() {
        for (path, expected) in [
            ("/admin/keys", "/admin/keys?company=a%26b"),
            ("/admin/keys/key_1/rotate", "/admin/keys/key_1/rotate?company=a%26b"),
            ("/admin/keys?status=active#change", "/admin/keys?status=active&company=a%26b#change"),
            ("/admin/owners?company=c", "/admin/owners?company=c"),
            ("/admin/owners?x=1&company=c", "/admin/owners?x=1&company=c"),
            ("/v1/audit/export?from=2026-01-01", "/v1/audit/export?from=2026-01-01&company=a%26b"),
            ("/admin/policy", "/admin/policy"),
            ("/admin/companies/acme", "/admin/companies/acme"),
            ("/admin/keysmith", "/admin/keysmith"),
            ("https://elsewhere/admin/keys", "https://elsewhere/admin/keys"),
        ] {
            assert_eq!(address(path, "a&b"), expected, "{path}");
        }
    }

    #[test]
    fn links_and_forms_of_a_page_lead_on_in_the_company() {
        let html = r##"<p title="&lt;a href=&quot;/admin/keys&quot;&gt;">href="/admin/keys" <a class="x" href="/admin/keys?a=1&amp;b=2">k</a>
            <form method="post" action="/admin/keys/key_1#change"></form><form class="f" action="/admin/audit" method="get"></form><form method="get" action="/admin/policy">
            <a href="/admin/owners?a=1&amp;company=c">o</a><a href="#main">s</a><a data-own href="/admin/keys">b</a>"##;
        let expected = r##"<p title="&lt;a href=&quot;/admin/keys&quot;&gt;">href="/admin/keys" <a class="x" href="/admin/keys?a=1&amp;b=2&amp;company=c%22d">k</a>
            <form method="post" action="/admin/keys/key_1?company=c%22d#change"></form><form class="f" action="/admin/audit" method="get"><input type="hidden" name="company" value="c&quot;d"></form><form method="get" action="/admin/policy">
            <a href="/admin/owners?a=1&amp;company=c">o</a><a href="#main">s</a><a data-own href="/admin/keys">b</a>"##;
        assert_eq!(page(html, "c\"d"), expected);
    }
}
