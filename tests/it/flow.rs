//! Data flows one way: a module imports only what stands above it in the list of `src/lib.rs`.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the library, in its order.
fn modules() -> Vec<String> {
    let lib = fs::read_to_string("src/lib.rs").unwrap();
    let names = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The module that a file belongs to.
fn module_of(file: &Path) -> String {
    let inside = file.strip_prefix("src").unwrap();
    let first = inside.components().next().unwrap().as_os_str().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The modules that a source names by `crate::`, in `use` lines and paths alike. In a file right
/// below `src` `super` is the crate too.
fn imports(source: &str, is_top: bool) -> Vec<String> {
    let code = source.split("#[cfg(test)]").next().unwrap();
    let code = if is_top { code.replace("super::", "crate::") } else { code.to_owned() };
    let code = code.replace("super::super::", "crate::");
    code.split("crate::").skip(1).flat_map(first_names).collect()
}

/// The first names of a path, or of the paths of a list in braces.
fn first_names(path: &str) -> Vec<String> {
    let name = |path: &str| {
        let end = |c: char| !c.is_ascii_alphanumeric() && c != '_';
        path.trim().split(end).next().unwrap().to_owned()
    };
    let Some(list) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut names = vec![name(list)];
    let mut depth = 1;
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(name(&list[at + 1..])),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// Imports against the flow, as `file imports module`.
fn against_the_flow(modules: &[String], module: &str, is_top: bool, source: &str) -> Vec<String> {
    let place = |name: &str| modules.iter().position(|known| known == name);
    let own = place(module).unwrap_or_else(|| panic!("`{module}` is not in src/lib.rs"));
    let is_against = |name: &String| place(name).is_none_or(|other| other > own);
    imports(source, is_top).into_iter().filter(is_against).collect()
}

#[test]
fn no_module_imports_against_the_flow() {
    let modules = modules();
    let mut wrong = Vec::new();
    for file in rust_files(Path::new("src")) {
        let module = module_of(&file);
        if module == "lib" || module == "main" {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        let is_top = file.parent() == Some(Path::new("src"));
        for import in against_the_flow(&modules, &module, is_top, &source) {
            wrong.push(format!("{} imports {import}", file.display()));
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn an_import_against_the_flow_is_found_in_every_form() {
    let modules = modules();
    for source in [
        "use crate::web;",
        "use crate::web::{self, Site};",
        "use crate::{backup::{Backup, Status}, web::{Site, serve}};",
        "use super::web::Site;",
        "fn f() -> crate::web::Site {}",
        "use crate::nowhere::Thing;",
    ] {
        assert_eq!(against_the_flow(&modules, "summary", true, source).len(), 1, "{source}");
    }
    let nested = "use super::super::web::Site;";
    assert_eq!(against_the_flow(&modules, "summary", false, nested).len(), 1);
    let allowed = "use crate::backup::{Backup, Status};\nuse crate::summary::Summary;";
    assert!(against_the_flow(&modules, "summary", true, allowed).is_empty());
}

/// Adding a product touches its file, one line of a list, and its tests.
#[test]
fn nothing_outside_its_own_file_names_a_product() {
    let own = ["src/product", "src/sim", "src/sim.rs", "src/command/demo.rs"];
    for file in rust_files(Path::new("src")) {
        if own.iter().any(|own| file.starts_with(own)) || file.ends_with("tests.rs") {
            continue;
        }
        let source = fs::read_to_string(&file).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        let word = |c: char| !c.is_ascii_alphanumeric();
        let is_product = |word: &str| ["rds", "ddm"].contains(&word.to_ascii_lowercase().as_str());
        let found: Vec<&str> = lines.filter(|line| line.split(word).any(is_product)).collect();
        let list = file == Path::new("src/product.rs");
        assert!(list || found.is_empty(), "{} names a product: {found:?}", file.display());
    }
}
