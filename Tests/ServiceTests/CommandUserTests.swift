import Database
import Formats
import OperatorCommands
import Staff
import TestSupport
import Testing

@Suite("quittance user")
struct CommandUserTests {
    private func file(_ stage: CommandStage, _ text: String) throws -> String { try stage.folder.write(text, to: "password") }

    @Test("the first admin is added, listed, given a new password, and cannot be disabled while there is no other")
    func life() async throws {
        let stage = try await CommandStage.make()
        let from = try file(stage, "a long enough passphrase\n")
        let added = await stage.run("user", "add", "Awa", "--role", "admin", "--language", "en", "--from", from)
        #expect(added.code == .ok && added.out == "awa may sign in as admin: /console/\n" && added.err.contains("SECRET_KEY"))
        #expect(await stage.run("user", "add", "awa", "--from", from).code == .failed)
        let listed = try await stage.json("user", "list", "--json")
        #expect(listed.array?.count == 1 && listed.array?.first?["role"]?.string == "admin" && listed.array?.first?["codes"]?.bool == false)
        #expect(await stage.run("user", "disable", "awa").code == .failed)
        #expect(await stage.run("user", "add", "koffi", "--role", "admin", "--from", from).code == .ok)
        #expect(await stage.run("user", "disable", "awa").out == "awa is disabled\n")
        #expect(await stage.run("user", "disable", "awa").code == .nothingDue)
        #expect(await stage.run("user", "enable", "awa").code == .ok)
        #expect(await stage.run("user", "reset-password", "awa", "--new-codes", "--from", from).code == .ok)
        #expect(await stage.run("user", "reset-password", "nobody", "--from", from).code == .notFound)
        let user = try await stage.write { try StaffStore.require("awa", in: $0) }
        #expect(user.mustChangePassword)
        #expect(!(await stage.run("user", "list").out.contains("passphrase")))
    }

    @Test("a password that is none is refused, and nobody is added", arguments: ["short", "", "awa-awa-awa-awa", "aaaaaaaaaaaaaaaa"])
    func rule(password: String) async throws {
        let stage = try await CommandStage.make()
        #expect(await stage.run("user", "add", "awa", "--from", try file(stage, password + "\n")).code == .failed)
        #expect(try await stage.json("user", "list", "--json").array?.isEmpty == true)
        #expect(await stage.run("user", "add", "a b", "--from", "/dev/null").code == .usage)
        #expect(await stage.run("user", "add", "awa", "--role", "king", "--from", "/dev/null").code == .usage)
    }
}
