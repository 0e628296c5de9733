import Testing

@Suite("House rules that a reviewer need not look for")
struct HouseRulesTests {
    private static let fileLinesMax = 400
    private static let programLinesMax = 60

    @Test("a Swift source has at most 400 lines")
    func filesAreShort() throws {
        for path in try SourceTree.files(below: "Sources", ending: ".swift") {
            let count = try SourceTree.lines(path).count
            #expect(count <= Self.fileLinesMax, "\(path) has \(count) lines")
        }
    }

    @Test("a program reads settings, wires and runs in under 60 lines")
    func programsAreThin() throws {
        for program in try SourceTree.names(in: "Sources/Programs") {
            let path = "Sources/Programs/\(program)/main.swift"
            let count = try SourceTree.lines(path).count
            #expect(count < Self.programLinesMax, "\(path) has \(count) lines")
        }
    }

    @Test("nothing is left for later and nothing is forced", arguments: ["TODO", "FIXME", "try!", " as! "])
    func nothingForced(word: String) throws {
        for path in try SourceTree.files(below: "Sources", ending: ".swift") {
            for (number, line) in try SourceTree.lines(path).enumerated() where line.contains(word) {
                Issue.record("\(path):\(number + 1) has '\(word)'")
            }
        }
    }

    @Test("a folder's entry is read in one place, where it lies: a copy of its name's 256 bytes may run over the end of a page")
    func entriesAreNotCopied() throws {
        let home = "Sources/Platform/Formats/FolderEntry.swift"
        let paths = try ["Sources", "Tests", "Examples"].flatMap { try SourceTree.files(below: $0, ending: ".swift") }
        #expect(paths.contains(home))
        for path in paths where path != home {
            for (number, line) in try SourceTree.lines(path).enumerated() where line.contains("d_" + "name") {
                Issue.record("\(path):\(number + 1) reads a folder's entry itself: FolderEntry.name(of:)")
            }
        }
    }

    @Test("Foundation stays outside: its essentials are enough, and ten megabytes lighter")
    func noFoundation() throws {
        for path in try SourceTree.files(below: "Sources", ending: ".swift") {
            for found in try Rooms.imports(of: path) {
                #expect(found.module != "Foundation", "\(path):\(found.line) imports Foundation")
            }
        }
    }

    @Test("nothing above Platform reads the environment: settings are passed down")
    func environmentIsReadOnce() throws {
        for path in try SourceTree.files(below: "Sources", ending: ".swift") where !path.hasPrefix("Sources/Platform/") {
            for (number, line) in try SourceTree.lines(path).enumerated() {
                let reads = ["getenv(", "ProcessInfo.processInfo.environment", " environ["].contains { line.contains($0) }
                #expect(!reads, "\(path):\(number + 1) reads the environment")
            }
        }
    }

    @Test("the Procfile runs programs that exist")
    func procfileNamesPrograms() throws {
        let programs = Set(try SourceTree.names(in: "Sources/Programs"))
        let binaries = try SourceTree.lines("Procfile").compactMap { line -> String? in
            guard let start = line.firstRange(of: ".build/release/") else { return nil }
            return String(line[start.upperBound...].prefix { $0 != " " })
        }
        #expect(Set(binaries).isSubset(of: programs))
        // Everything but the tools of operators, of measurement and of accidents runs all the time.
        #expect(Set(binaries) == programs.subtracting(["quittance", "bench", "chaos"]))
    }

    @Test("the version is that of the newest chapter of the changelog")
    func versionIsTheChangelogs() throws {
        let version = try SourceTree.text("Sources/Services/ProgramStart/VERSION").filter { $0 != "\n" }
        #expect(version.split(separator: ".").compactMap { Int($0) }.count == 3)
        let chapters = try SourceTree.lines("CHANGELOG.md").filter { $0.hasPrefix("## [") }.map { $0.dropFirst(4).prefix { $0 != "]" } }
        #expect(chapters.first == version[...])
        for path in try SourceTree.files(below: "Sources", ending: ".swift") {
            #expect(try !SourceTree.text(path).contains(version), "\(path) says the version by itself")
        }
    }

    @Test("every relative link of the README and the docs leads somewhere")
    func linksLead() throws {
        let pages = try ["README.md"] + SourceTree.files(below: "docs", ending: ".md")
        for page in pages {
            let folder = page.split(separator: "/").dropLast().joined(separator: "/")
            for piece in try SourceTree.text(page).split(separator: "](").dropFirst() {
                let target = piece.prefix { $0 != ")" && $0 != "#" }
                if target.isEmpty || target.hasPrefix("http") || target.hasPrefix("mailto:") { continue }
                let path = SourceTree.joined(folder, String(target))
                #expect(SourceTree.exists(path), "\(page) links to \(target)")
            }
        }
    }
}
