import Settings

#if canImport(Glibc)
    import Glibc
#endif

/// Folders, disk, and what drafts are made with.
enum FolderChecks {
    /// Below this a disk is as good as full.
    private static let freeBytesMin: UInt64 = 1 << 30

    static func findings(_ context: CommandContext) -> [Finding] {
        let settings = context.settings
        let folders = [
            ("VAR_DIRECTORY", settings.varDirectory), ("PRIVATE_MEDIA_ROOT", settings.privateMediaRoot), ("SPOOL_DIRECTORY", settings.spoolDirectory),
        ]
        return folders.map { finding($0.0, $0.1) } + [disk(settings.varDirectory)].compactMap { $0 }
    }

    private static func finding(_ name: String, _ path: String) -> Finding {
        guard let mode = Folders.mode(of: path) else { return .fail(name, "\(path) is not there: run `quittance migrate`") }
        guard mode.isFolder else { return .fail(name, "\(path) is no folder") }
        guard Folders.isWritable(path) else { return .fail(name, "\(path) cannot be written by this user") }
        guard mode.permissions & 0o077 == 0 else {
            return .warn(name, "\(path) is open to other users (\(String(mode.permissions, radix: 8))): chmod 700 \(path)")
        }
        return .ok(name, path)
    }

    private static func disk(_ path: String) -> Finding? {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { return nil }
        let free = UInt64(information.f_bavail) * UInt64(information.f_frsize)
        let text = "\(free >> 20) MiB free at \(path)"
        return free < freeBytesMin ? .warn("disk", "\(text): database, spool and Redis' log stop when it is full") : .ok("disk", text)
    }
}

/// What drafts are filled in with.
enum DraftChecks {
    static func findings(_ context: CommandContext) -> [Finding] {
        let template = context.settings.privateMediaRoot + "/templates/kit_complet_template.docx"
        let python = context.settings.docxPython
        var findings: [Finding] = []
        findings.append(
            Folders.exists(template)
                ? .ok("template", template) : .fail("template", "\(template) is not there: drafts fail; run deploy/docx/make_template.py"))
        guard Folders.isExecutable(python) else {
            return findings + [.fail("DOCX_PYTHON", "\(python) cannot be run: drafts fail; run deploy/bootstrap run, or set DOCX_PYTHON")]
        }
        findings.append(
            hasDocxtpl(python)
                ? .ok("docxtpl", "beside \(python)") : .warn("docxtpl", "not found beside \(python): run deploy/bootstrap run, or install it there"))
        return findings
    }

    /// Whether the environment that this Python belongs to has the module: `bin/python` beside `lib/python3.x/site-packages`.
    private static func hasDocxtpl(_ python: String) -> Bool {
        let root = python.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        let library = root.isEmpty && !python.hasPrefix("/") ? "lib" : root + "/lib"
        let versions = (Folders.names(in: library) ?? []).filter { $0.hasPrefix("python3") }
        return versions.contains { version in
            ["site-packages", "dist-packages"].contains { Folders.exists("\(library)/\(version)/\($0)/docxtpl") }
        }
    }
}
