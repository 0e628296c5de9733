import Database
import Formats
import TestSupport
import Testing

@Suite struct ProcessTests {
    static let tables = MigrationSet(
        room: "torture",
        migrations: [
            Migration(
                number: 1, name: "torture",
                sqlite: """
                    CREATE TABLE torture_rows (id INTEGER PRIMARY KEY, writer TEXT NOT NULL, filler BLOB NOT NULL) STRICT;
                    CREATE INDEX torture_rows_by_writer ON torture_rows (writer);
                    CREATE TABLE torture_counts (writer TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT;
                    INSERT INTO torture_counts (writer, n) VALUES ('everybody', 0);
                    """)
        ])

    static func prepared() async throws -> (TemporaryFolder, String) {
        let folder = try TemporaryFolder("quittance-torture")
        let path = folder.file("torture.db")
        let database = try Database.open(.sqlite(path: path))
        try database.migrate([tables])
        await database.close()
        return (folder, path)
    }

    /// `name=<number>` in a line.
    static func number(_ name: String, in line: String) throws -> Int64 {
        let word = try #require(line.split(separator: " ").first { $0.hasPrefix("\(name)=") }, "\(line)")
        return try #require(Int64(word.dropFirst(name.count + 1)))
    }

    @Test("Eight processes write one file, one without pause and one killed again and again: nobody is busy, nothing is lost or halved")
    func eight() async throws {
        let (folder, path) = try await Self.prepared()
        let program = try builtProduct("torture-writer")
        let saturating = try await ProcessFixture.start(program, [path, "saturating", "saturating", "6"])
        var light: [ProcessFixture] = []
        for index in 0..<6 { light.append(try await ProcessFixture.start(program, [path, "light\(index)", "light", "6"])) }

        var kills = 0
        var victimAcknowledged: Int64 = 0
        while light.contains(where: \.isRunning) {
            let victim = try await ProcessFixture.start(program, [path, "victim", "victim", "60"])
            let enough = Int.random(in: 1...60)
            try await eventually(within: .seconds(30), "the victim writes") { victim.output.count >= enough || !victim.isRunning }
            victim.kill9()
            #expect(try await victim.waitForExit() == .signalled(9), "\(victim.transcript)")
            victim.end()
            kills += 1
            for line in victim.output { victimAcknowledged = max(victimAcknowledged, Int64(line.split(separator: " ").last ?? "") ?? 0) }
        }
        for process in light + [saturating] { #expect(try await process.waitForExit() == .exited(0), "\(process.transcript)") }

        let database = try Database.open(.sqlite(path: path))
        var counts: [String: Int64] = [:]
        for row in try await database.read({ try $0.query("SELECT writer, n FROM torture_counts") }) {
            counts[try row.text("writer")] = try row.int("n")
        }
        let rows = try await database.read { try $0.first("SELECT count(*) AS n FROM torture_rows")?.int("n") }
        let integrity = try await database.read { try $0.first("PRAGMA integrity_check")?.values.first }
        await database.close()

        #expect(integrity == "ok")
        let everybody = try #require(counts["everybody"])
        counts["everybody"] = nil
        #expect(counts.values.reduce(0, +) == everybody)
        #expect(rows == everybody)
        #expect(kills > 3)
        let victimStored = counts["victim"] ?? 0
        // A write that was acknowledged is there, also when its process was killed the moment after.
        #expect(victimStored >= victimAcknowledged && victimAcknowledged > 0)
        let saturatingLine = try #require(saturating.output.last)
        let saturatingAcknowledged = try Self.number("acknowledged", in: saturatingLine)
        #expect(counts["saturating"] == saturatingAcknowledged)
        print("saturating: \(saturatingLine); victim: \(kills) kills, \(victimStored) writes")
        for (index, process) in light.enumerated() {
            let line = try #require(process.output.last)
            print("light \(index): \(line)")
            let acknowledged = try Self.number("acknowledged", in: line)
            #expect(counts["light\(index)"] == acknowledged)
            // Tens of milliseconds on a quiet machine; the bound only catches writers that are starved.
            #expect(try Self.number("p99_us", in: line) < 500_000)
        }
        withExtendedLifetime(folder) {}
    }

    @Test("A commit that cannot be written fails its whole group and leaves the connection usable")
    func failingCommit() async throws {
        let (folder, path) = try await Self.prepared()
        let process = try await ProcessFixture.start(try builtProduct("torture-writer"), [path, "limited", "limited", "1"])
        #expect(try await process.waitForExit() == .exited(0), "\(process.transcript)")
        let line = try #require(process.output.last)
        let failures = try #require(line.split(separator: " ").first).dropFirst("failures=".count).split(separator: ",")
        #expect(failures.count == 5, "\(line)")
        #expect(failures.allSatisfy { $0 == "full/true" || $0 == "inputOutput/true" }, "\(line)")
        #expect(try Self.number("count", in: line) == 2)
        let database = try Database.open(.sqlite(path: path))
        #expect(try await database.read { try $0.first("SELECT count(*) AS n FROM torture_rows")?.int("n") } == 2)
        #expect(try await database.read { try $0.first("PRAGMA integrity_check")?.values.first } == "ok")
        await database.close()
        withExtendedLifetime(folder) {}
    }
}
