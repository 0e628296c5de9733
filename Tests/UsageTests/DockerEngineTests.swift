import EventLoop
import Formats
import HTTPClient
import StorageMetering
import TestSupport
import Testing

@Suite("Asking a Docker engine")
struct DockerEngineTests {
    private typealias Answer = DockerFixture.Answer

    private static let oneVolume = #"{"Volumes":[{"Name":"v","Labels":{"quittance.project":"shop"}}],"Warnings":null}"#
    private static let oneSize = #"{"Volumes":[{"Name":"v","UsageData":{"Size":42,"RefCount":1}}]}"#

    private func expect(_ answers: [String: [Answer]], asks requests: [String], version: String) async throws {
        let fixture = try await DockerFixture.start(answers)
        let inventory = try await fixture.engine().inventory(label: "quittance.project")
        #expect(try await fixture.requests() == requests)
        #expect(inventory.version.description == version)
        #expect(inventory.volumes.map(\.bytes) == [42])
        #expect(inventory.volumes.map(\.label) == ["shop"])
    }

    private func asked(_ version: String, df: String, after pings: [String] = ["HEAD /_ping"]) -> [String] {
        pings + ["GET /v\(version)/volumes", "GET /v\(version)/images/json?all=false&shared-size=true", "GET /v\(version)/system/df\(df)"]
    }

    // MARK: Versions

    @Test(
        "the lower of both newest versions is spoken, always as a prefix, and only what is needed is asked for",
        arguments: [
            ("1.25", "1.25", ""), ("1.41", "1.41", ""), ("1.42", "1.42", "?type=volume&type=image"), ("1.44", "1.44", "?type=volume&type=image"),
            ("1.51", "1.51", "?type=volume&type=image"), ("1.52", "1.52", "?type=volume&type=image&verbose=1"),
            ("1.60", "1.52", "?type=volume&type=image&verbose=1"), ("2.1", "1.52", "?type=volume&type=image&verbose=1"),
        ])
    func versions(newest: String, spoken: String, query: String) async throws {
        var answers = DockerFixture.usual(spoken, volumes: Self.oneVolume, usage: Self.oneSize)
        answers["HEAD /_ping"] = [.ping(newest)]
        try await expect(answers, asks: asked(spoken, df: query), version: spoken)
    }

    @Test("where HEAD is refused or tells no version, GET is asked; where neither does, 1.44 is spoken", arguments: [405, 403, 404, 501, 200])
    func withoutHead(status: Int) async throws {
        for newest in ["1.43", nil] as [String?] {
            let spoken = newest ?? "1.44"
            var answers = DockerFixture.usual(spoken, volumes: Self.oneVolume, usage: Self.oneSize)
            answers["HEAD /_ping"] = [Answer(status: status)]
            answers["GET /_ping"] = [.ping(newest)]
            try await expect(
                answers, asks: asked(spoken, df: "?type=volume&type=image", after: ["HEAD /_ping", "GET /_ping"]), version: spoken)
        }
    }

    @Test("a version that is too new is lowered once, to the one that the message names")
    func tooNew() async throws {
        var answers = DockerFixture.usual("1.41", volumes: Self.oneVolume, usage: Self.oneSize)
        answers["HEAD /_ping"] = [.ping("1.47")]
        answers["GET /v1.47/volumes"] = [.error(400, "client version 1.47 is too new. Maximum supported API version is 1.41")]
        try await expect(answers, asks: asked("1.41", df: "", after: ["HEAD /_ping", "GET /v1.47/volumes"]), version: "1.41")
    }

    @Test("where the message names none, the engine is pinged again")
    func tooNewWithoutMaximum() async throws {
        var answers = DockerFixture.usual("1.43", volumes: Self.oneVolume, usage: Self.oneSize)
        answers["HEAD /_ping"] = [.ping("1.47"), .ping("1.43")]
        answers["GET /v1.47/volumes"] = [.error(400, "client is too new")]
        let requests = asked("1.43", df: "?type=volume&type=image", after: ["HEAD /_ping", "GET /v1.47/volumes", "HEAD /_ping"])
        try await expect(answers, asks: requests, version: "1.43")
    }

    @Test("a version is lowered only once: then it is an error that no retry helps")
    func tooNewTwice() async throws {
        let fixture = try await DockerFixture.start([
            "HEAD /_ping": [.ping("1.47")],
            "GET /v1.47/volumes": [.error(400, "client version 1.47 is too new. Maximum supported API version is 1.41")],
            "GET /v1.41/volumes": [.error(400, "client version 1.41 is too new. Maximum supported API version is 1.40")],
        ])
        let error = try await fixture.failure()
        #expect(error.code == .version)
        #expect(!error.isTransient)
        #expect(try await fixture.requests() == ["HEAD /_ping", "GET /v1.47/volumes", "GET /v1.41/volumes"])
    }

    @Test("an engine that wants newer versions than ours, or has only older ones than we speak, is an error")
    func noCommonVersion() async throws {
        let newer = try await DockerFixture.start([
            "HEAD /_ping": [.ping("1.60")],
            "GET /v1.52/volumes": [.error(400, "client version 1.52 is too old. Minimum supported API version is 1.54, please upgrade your client")],
        ])
        #expect(try await newer.failure().code == .version)
        let older = try await DockerFixture.start(["HEAD /_ping": [.ping("1.24")]])
        let error = try await older.failure()
        #expect(error.code == .version)
        #expect(error.message.contains("1.24"))
        #expect(try await older.requests() == ["HEAD /_ping"])
    }

    @Test("versions are compared part by part, and only two numbers with a point are one")
    func comparison() throws {
        let sorted = try ["1.9", "1.24", "1.44", "1.100", "2.0"].map { try #require(DockerAPIVersion($0)) }
        #expect(sorted == sorted.shuffled().sorted())
        for text in ["", "1", "1.", ".1", "1.2.3", "v1.44", "1.4x", "1.-4", "1.99999", " 1.4"] { #expect(DockerAPIVersion(text) == nil, "\(text)") }
    }

    // MARK: Asking again

    @Test("where the answer counts volumes or images without naming them, it is asked for once more with verbose=1")
    func verboseAgain() async throws {
        for kind in ["Volume", "Volumes", "Image"] {
            var answers = DockerFixture.usual("1.47", volumes: Self.oneVolume)
            let named = #"{"VolumeUsage":{"TotalCount":1,"Items":[{"Name":"v","UsageData":{"Size":42}}]}}"#
            answers["GET /v1.47/system/df"] = [.json(#"{"\#(kind)Usage":{"TotalCount":3,"TotalSize":42}}"#), .json(named)]
            let requests = asked("1.47", df: "?type=volume&type=image") + ["GET /v1.47/system/df?type=volume&type=image&verbose=1"]
            try await expect(answers, asks: requests, version: "1.47")
        }
    }

    @Test("it is asked for once where both shapes are there, where nothing is counted, and never a third time")
    func verboseOnce() async throws {
        let both = #"{"VolumeUsage":{"TotalCount":1,"TotalSize":42},"Volumes":[{"Name":"v","UsageData":{"Size":42}}]}"#
        try await expect(
            DockerFixture.usual("1.47", volumes: Self.oneVolume, usage: both), asks: asked("1.47", df: "?type=volume&type=image"), version: "1.47")
        for (version, usage, count) in [
            ("1.47", #"{"VolumeUsage":{},"ImageUsage":{"TotalSize":0}}"#, 1), ("1.47", #"{"VolumeUsage":{"TotalCount":2}}"#, 2),
            ("1.52", #"{"VolumeUsage":{"TotalCount":2}}"#, 1),
        ] {
            let fixture = try await DockerFixture.start(DockerFixture.usual(version, volumes: Self.oneVolume, usage: usage))
            let inventory = try await fixture.engine().inventory(label: "quittance.project")
            #expect(inventory.volumes.map(\.bytes) == [nil], "what is not named is unknown, not zero")
            #expect(try await fixture.requests().filter { $0.contains("/df") }.count == count)
        }
    }

    // MARK: Refusals

    @Test(
        "what the engine refuses is told apart, with whether a retry helps",
        arguments: [
            (404, "page not found", DockerEngineError.Code.notDockerAPI, false), (500, "cannot walk: input/output error", .failed, true),
            (500, "a disk usage operation is already running", .busy, true), (409, "a disk usage operation is already running", .busy, true),
            (503, "shutting down", .failed, true), (429, "slowly", .busy, true), (403, "forbidden by the filter", .refused, false),
            (400, "invalid type", .refused, false), (302, "", .notDockerAPI, false),
        ])
    func refusals(status: Int, message: String, code: DockerEngineError.Code, isTransient: Bool) async throws {
        for path in ["system/df", "volumes", "images/json"] {
            var answers = DockerFixture.usual("1.44")
            answers["GET /v1.44/\(path)"] = [.error(status, message)]
            let fixture = try await DockerFixture.start(answers)
            let error = try await fixture.failure()
            #expect(error.code == code)
            #expect(error.isTransient == isTransient)
            #expect(error.message.contains("/\(path)") && error.message.contains("\(status)") && error.message.contains(message))
            #expect((error.code == .notDockerAPI) == error.message.hasPrefix("this is not a Docker API"))
        }
    }

    @Test(
        "an answer that is not what the API promises is an error and no figure",
        arguments: [
            ("system/df", "<html>"), ("system/df", ""), ("system/df", "[]"), ("system/df", "null"), ("system/df", #"{"Volumes":[{"Name":"v""#),
            ("volumes", "[]"), ("volumes", "x"), ("images/json", "{}"), ("images/json", "\"\""),
        ])
    func unreadable(path: String, body: String) async throws {
        var answers = DockerFixture.usual("1.44")
        answers["GET /v1.44/\(path)"] = [.json(body)]
        let error = try await DockerFixture.start(answers).failure()
        #expect(error.code == .unreadable)
        #expect(!error.isTransient)
        #expect(error.message.contains("/\(path)"))
    }

    @Test("an engine that is slow is waited for; one that is slower than the time given is an error that a retry may help")
    func slow() async throws {
        var answers = DockerFixture.usual("1.44", volumes: Self.oneVolume)
        answers["GET /v1.44/system/df"] = [Answer(body: Self.oneSize, delay: 0.7)]
        let fixture = try await DockerFixture.start(answers)
        let error = try await fixture.failure(DockerEngine.Options(usageTimeout: .milliseconds(300)))
        #expect(error.code == .timeout)
        #expect(error.isTransient)
        // The other time-outs do not count for it.
        let patient = DockerEngine.Options(pingTimeout: .milliseconds(600), listTimeout: .milliseconds(600), usageTimeout: .seconds(30))
        #expect(try await fixture.engine(patient).inventory(label: "quittance.project").volumeBytes == 42)
    }

    @Test("an answer beyond the limit is an error, not a part")
    func tooLarge() async throws {
        let large = #"{"Volumes":[],"x":""# + String(repeating: "y", count: 9_000) + #""}"#
        let fixture = try await DockerFixture.start(DockerFixture.usual("1.44", volumes: large))
        #expect(try await fixture.failure(DockerEngine.Options(responseLimit: 5_000)).code == .tooLarge)
        #expect(try await fixture.engine().inventory(label: "x").volumes.isEmpty)
    }

    @Test("a socket where nobody listens, or that is not there, is an error that a retry may help")
    func unreachable() async throws {
        let folder = try TemporaryFolder()
        let loop = try EventLoop.started(name: "engine")
        let client = HTTPClient(loop: loop)
        try folder.write("", to: "file.sock")
        for name in ["none.sock", "file.sock"] {
            let engine = DockerEngine(socket: folder.file(name), client: client)
            do throws(DockerEngineError) {
                _ = try await engine.inventory(label: "x")
                Issue.record("\(name) was measured")
            } catch {
                #expect(error.code == .unreachable)
                #expect(error.isTransient)
            }
        }
        await client.close()
    }

    @Test("a ping that fails is the engine's failure; one that is not found means that this is no engine")
    func pings() async throws {
        for (status, code) in [(500, DockerEngineError.Code.failed), (404, .notDockerAPI), (403, .refused)] {
            let fixture = try await DockerFixture.start(["HEAD /_ping": [.error(status, "no")], "GET /_ping": [.error(status, "no")]])
            #expect(try await fixture.failure().code == code)
            #expect(try await fixture.requests() == ["HEAD /_ping", "GET /_ping"])
        }
    }
}
