import Glibc
import TestSupport
import Testing

@Suite("The environment file")
struct EnvironmentFileTests {
    @Test("values are taken literally, and what the environment says wins")
    func literalValues() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write(
            "# a comment\n\nA=two words $HOME `id` #no comment\nB=\"in quotes\"\nC='single'\nD=file\nE=\nF=x=y\r\n", to: "env")
        let result = try await Script.run(
            "deploy/with-env sh -c 'printf \"%s|\" \"$A\" \"$B\" \"$C\" \"$D\" \"$E\" \"$F\"'", environment: ["ENV_FILE": file, "D": "environment"])
        #expect(result.output == "two words $HOME `id` #no comment|in quotes|single|environment||x=y|")
    }

    @Test("a line that is no setting stops the program and is named by number, not by content")
    func refusesOtherLines() async throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("A=1\nsecret without a name\n", to: "env")
        let result = try await Script.run("deploy/with-env true", environment: ["ENV_FILE": file])
        #expect(result.status == 78)
        #expect(result.errors.contains(":2 is not NAME=value") && !result.errors.contains("secret"))
    }

    @Test("the development file is private, has fresh secrets, and never replaces one that is there")
    func developmentFile() async throws {
        let folder = try TemporaryFolder()
        let (first, second) = (folder.file("one"), folder.file("two"))
        for file in [first, second] { #expect(try await Script.run("python3 deploy/make-env \(file) SMTP_URL=smtp://127.0.0.1:1").status == 0) }
        var status = stat()
        #expect(stat(first, &status) == 0 && status.st_mode & 0o777 == 0o600)
        let made = String(decoding: folder.read("one") ?? [], as: UTF8.self)
        #expect(made.contains("\nSMTP_URL=smtp://127.0.0.1:1\n") && made.contains("\nSTANDARD_WEBHOOKS_SECRET=whsec_"))
        let secrets = { (text: String) in text.split(separator: "\n").filter { $0.contains("SECRET") || $0.contains("KEY") } }
        let other = String(decoding: folder.read("two") ?? [], as: UTF8.self)
        #expect(Set(secrets(made)).isDisjoint(with: secrets(other)))

        #expect(try await Script.run("python3 deploy/make-env \(first)").status == 0)
        #expect(folder.read("one") == Array(made.utf8))
    }
}
