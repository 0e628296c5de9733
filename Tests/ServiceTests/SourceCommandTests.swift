import Formats
import OperatorCommands
import Settings
import TestSupport
import Testing

@Suite("quittance source")
struct SourceCommandTests {
    private static let other = "whsec_YW5vdGhlciBzZWNyZXQgZm9yIHRoZSByb3RhdGlvbiE="

    private func stage(_ more: [String: String] = [:]) async throws -> CommandStage { try await CommandStage.make(more, migrated: false) }

    @Test("on, off and mode change the file, say so, and know when there is nothing to do")
    func switching() async throws {
        let stage = try await stage()
        #expect(await stage.run("source", "off", "standard-webhooks") == CommandResult(code: .ok, out: "standard-webhooks is off\n", err: ""))
        #expect(await stage.run("source", "off", "standard-webhooks").code == .nothingDue)
        #expect(await stage.run("source", "list").out.contains("standard-webhooks  off "))
        #expect(await stage.run("source", "on", "standard-webhooks").out == "standard-webhooks is on (sandbox)\n")
        #expect(await stage.run("source", "on", "standard-webhooks").code == .nothingDue)
        #expect(await stage.run("source", "list").out.contains("standard-webhooks  sandbox "))
        #expect(await stage.run("source", "mode", "wave", "sandbox").out == "wave is in mode sandbox, and off\n")
    }

    @Test(
        "what breaks a rule is refused and changes nothing",
        arguments: [
            (["on", "wave"], ExitCode.failed, "wave has no mode yet: `quittance source mode wave sandbox`, or live"),
            (["mode", "standard-webhooks", "live"], .failed, "nothing is changed: 2 settings are wrong:"),
            (["mode", "standard-webhooks", "maybe"], .usage, "MODE is sandbox or live"),
            (["on", "paypal"], .notFound, "there is no provider 'paypal'"),
            (["rotate", "wave", "--generate"], .failed, "wave makes its secret itself: hand it in on standard input"),
            (["rotate", "wave", "--from", "/dev/null"], .failed, "no secret was handed in: one word of visible ASCII characters is taken"),
            (["rotate", "wave", "--generate", "--retire"], .usage, "--generate and --retire exclude each other"),
            (["rotate", "usage/a b", "--generate"], .usage, "a source of samples"),
        ])
    func refused(arguments: [String], code: ExitCode, reason: String) async throws {
        let stage = try await stage()
        #expect(await stage.run("source", "import").code == .ok)
        let before = stage.folder.read("var/sources.json")
        let result = await stage.run(["source"] + arguments)
        #expect(result.code == code && result.out == "", "\(result)")
        #expect(result.err.contains(reason), "\(result.err)")
        #expect(stage.folder.read("var/sources.json") == before)
    }

    @Test("a provider that lacks a value of its adapter cannot be turned on")
    func incomplete() async throws {
        let stage = try await stage()
        #expect(await stage.run("source", "mode", "cinetpay", "sandbox").code == .ok)
        let result = await stage.run("source", "on", "cinetpay")
        #expect(result.code == .failed && result.err.contains("nothing is changed: provider cinetpay is on, but its api_key is not set"), "\(result)")
    }

    @Test("rotate puts the new secret first, keeps the old one, and retires it when told; neither is shown")
    func rotation() async throws {
        let stage = try await stage()
        let path = try stage.folder.write(Self.other + "\n", to: "secret")
        let rotated = await stage.run("source", "rotate", "standard-webhooks", "--from", path)
        #expect(rotated == CommandResult(code: .ok, out: "standard-webhooks: the new secret signs, 1 older verify still\n", err: ""))
        #expect(await stage.run("source", "rotate", "standard-webhooks", "--from", path).code == .nothingDue)
        let settings = try Settings.load(environment: ["VAR_DIRECTORY": stage.folder.file("var")], .reading)
        #expect(settings.provider("standard-webhooks")?.secrets == [Self.other, CommandStage.webhookSecret])
        let retired = await stage.run("source", "rotate", "standard-webhooks", "--retire")
        #expect(retired.out == "standard-webhooks: 1 retired, the newest is the only one\n")
        #expect(await stage.run("source", "rotate", "standard-webhooks", "--retire").code == .nothingDue)
        let after = try Settings.load(environment: ["VAR_DIRECTORY": stage.folder.file("var")], .reading)
        #expect(after.provider("standard-webhooks")?.secrets == [Self.other])
        // What is no webhook key is refused.
        let plain = try stage.folder.write("not-a-webhook-key!", to: "plain")
        #expect(await stage.run("source", "rotate", "standard-webhooks", "--from", plain).code == .failed)
    }

    @Test("a generated secret is printed this once, in the shape its provider takes")
    func generated() async throws {
        let stage = try await stage()
        let result = await stage.run("source", "rotate", "standard-webhooks", "--generate")
        let lines = result.out.split(separator: "\n").map(String.init)
        #expect(lines.count == 2 && lines[0].hasPrefix("whsec_") && lines[1] == "standard-webhooks: the new secret signs, 1 older verify still")
        let settings = try Settings.load(environment: ["VAR_DIRECTORY": stage.folder.file("var")], .reading)
        #expect(settings.provider("standard-webhooks")?.secrets.first == lines[0])
        #expect(!(await stage.run("source", "list").out.contains("whsec_")))
        let key = await stage.run("source", "rotate", "usage/gateway-1", "--generate")
        #expect(key.out.split(separator: "\n").first?.count == 64)
        let second = await stage.run("source", "rotate", "usage/gateway-1", "--generate")
        #expect(second.out.contains("usage/gateway-1: a new key, 1 older are valid still"))
        #expect(await stage.run("source", "rotate", "usage/gateway-1", "--retire").code == .ok)
        let keys = try Settings.load(environment: ["VAR_DIRECTORY": stage.folder.file("var")], .reading).usage.sources
        #expect(keys.map(\.key.value) == [String(second.out.split(separator: "\n")[0])])
    }

    @Test("import takes what the environment says, and overrules the file only when told")
    func importing() async throws {
        let stage = try await stage()
        let taken = await stage.run("source", "import")
        #expect(taken.out.hasPrefix("taken: PROVIDER_MODE_STANDARD_WEBHOOKS, STANDARD_WEBHOOKS_SECRET\n"))
        #expect(await stage.run("source", "import").code == .nothingDue)
        let path = stage.folder.file("var")
        let changed = ["VAR_DIRECTORY": path, "STANDARD_WEBHOOKS_SECRET": Self.other]
        let settings = try Settings(environment: changed)
        let recorded = RecordedOutput()
        let context = CommandContext(settings: settings, output: recorded.output)
        #expect(await OperatorProgram.run(["source", "import"], in: context) == .failed)
        #expect(recorded.standardError.contains("STANDARD_WEBHOOKS_SECRET: it holds 1 value, ") && !recorded.standardError.contains(Self.other))
        #expect(await OperatorProgram.run(["source", "import", "--replace"], in: context) == .ok)
        #expect(try Settings.load(environment: changed, .seeding).provider("standard-webhooks")?.secrets == [Self.other])
    }
}

@Suite("quittance source trust and ranges")
struct SourcePolicyCommandTests {
    private static let wave = [
        "PROVIDER_MODE_WAVE": "sandbox", "WAVE_API_KEY": "k", "WAVE_WEBHOOK_SECRET": "w",
    ]

    @Test("a policy takes effect, goes back to the provider's own, and is refused where the source cannot have it")
    func trust() async throws {
        let stage = try await CommandStage.make(Self.wave, migrated: false)
        func policy() async throws -> String? {
            try await stage.json("source", "list", "--json").array?.first { $0["source"] == "wave" }?["policy"]?.string
        }
        #expect(try await policy() == "trust")
        #expect(await stage.run("source", "trust", "wave", "fetch").out == "wave has the policy fetch\n")
        #expect(try await policy() == "fetch")
        #expect(try await stage.json("source", "list", "--json").array?.first { $0["source"] == "wave" }?["asked"]?.bool == true)
        #expect(await stage.run("source", "trust", "wave", "fetch").code == .nothingDue)
        #expect(await stage.run("source", "trust", "wave", "own").code == .ok)
        #expect(try await policy() == "trust")
        #expect(await stage.run("source", "trust", "wave", "maybe").code == .usage)
        let refused = await stage.run("source", "trust", "standard-webhooks", "fetch")
        #expect(refused.code == .failed && refused.err.contains("it cannot be asked"), "\(refused)")
    }

    @Test("ranges and what becomes of posts from elsewhere; a check needs ranges")
    func ranges() async throws {
        let stage = try await CommandStage.make(Self.wave, migrated: false)
        let without = await stage.run("source", "ranges", "wave", "--check", "enforce")
        #expect(without.code == .failed && without.err.contains("ALLOWED_ADDRESSES_WAVE names no address"), "\(without)")
        #expect(await stage.run("source", "ranges", "wave").code == .usage)
        #expect(await stage.run("source", "ranges", "wave", "--range", "192.0.2.1/24").code == .usage)
        let done = await stage.run("source", "ranges", "wave", "--check", "log", "--range", "192.0.2.0/24", "--range", "2001:db8::/32")
        #expect(done == CommandResult(code: .ok, out: "wave: 2 ranges, log\n", err: ""))
        #expect(await stage.run("source", "ranges", "wave", "--check", "enforce").out == "wave: 2 ranges, enforce\n")
        let settings = try Settings.load(environment: ["VAR_DIRECTORY": stage.folder.file("var"), "WAVE_API_KEY": "k"], .reading)
        #expect(settings.provider("wave")?.addresses.map(\.description) == ["192.0.2.0/24", "2001:db8::/32"])
        #expect(settings.provider("wave")?.addressCheck == .enforce)
    }
}
