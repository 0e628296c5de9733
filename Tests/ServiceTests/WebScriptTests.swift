import Formats
import Payments
import TestSupport
import Testing

#if canImport(Glibc)
    import Glibc
#endif

@Suite("quittance.js and the weight of pages")
struct WebScriptTests {
    @Test("the script is one small file that any site may run, and says what it is")
    func script() async throws {
        try await WebStage.with { stage in
            let script = try await stage.send("GET", "/js/v1/quittance.js")
            #expect(script.status == 200)
            #expect(script.body.count < 10_000, "\(script.body.count) bytes")
            #expect(script.headers["content-type"] == "text/javascript; charset=utf-8")
            #expect(script.headers["access-control-allow-origin"] == "*")
            #expect(script.headers["cross-origin-resource-policy"] == "cross-origin")
            #expect(script.headers["cache-control"] == "public, max-age=3600")
            for word in ["eval(", "innerHTML", "document.write", "import ", "require("] { #expect(!script.text.contains(word), "\(word)") }
        }
    }

    @Test("what the script offers is what its types declare, and TypeScript takes both a right use and refuses a wrong one")
    func types() async throws {
        try await WebStage.with { stage in
            let script = try await stage.send("GET", "/js/v1/quittance.js").text
            let types = try await stage.send("GET", "/js/v1/quittance.d.ts").text
            let offered = try #require(script.split(separator: "var api = {").last?.prefix { $0 != "}" })
            let names = offered.split(separator: ",").compactMap { $0.split(separator: ":").first?.filter { $0 != " " } }
            #expect(names.sorted() == ["choices", "initiate", "retry", "status", "version", "watch", "widget"])
            for name in names { #expect(types.contains("export function \(name)(") || types.contains("export const \(name):"), "\(name)") }
            for state in PaymentState.allCases { #expect(types.contains("\"\(state.rawValue)\"")) }

            let folder = try TemporaryFolder("types")
            try write(types, to: folder.file("quittance.d.ts"))
            let use = """
                /// <reference path="./quittance.d.ts" />
                const watch: Quittance.Watch = Quittance.watch("l", now => console.log(now.status.length, now.final));
                watch.finished.then(end => end.at);
                Quittance.choices("l", "BJ").then(all => Quittance.initiate("l", { provider: all.choices[0].provider, phone: "+229" }));
                Quittance.retry("l", { provider: "wave" }).then(started => location.assign(started.payment_url || ""));
                Quittance.status("l").catch((error: Quittance.QuittanceError) => error.problem);
                """
            try write(use, to: folder.file("right.ts"))
            try write("/// <reference path=\"./quittance.d.ts\" />\nQuittance.initiate(\"l\", { network: 1 });\n", to: folder.file("wrong.ts"))
            #expect(try await typeScript(folder.file("right.ts")) == "")
            let refused = try await typeScript(folder.file("wrong.ts"))
            #expect(refused.contains("wrong.ts(2,") && refused.contains("error TS"))
        }
    }

    /// What the compiler has against a file.
    private func typeScript(_ path: String) async throws -> String {
        let compiler = try await ProcessFixture.start(
            "tsc", ["--noEmit", "--strict", "--target", "es2019", "--lib", "es2019,dom", path])
        try await compiler.waitForExit(within: .seconds(120))
        return compiler.transcript
    }

    private func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw FixtureError("\(path) cannot be written: error \(errno)") }
        fputs(text, file)
        fclose(file)
    }

    /// A link to the page of a team that has used something on every day, and has something to pay.
    private func team(_ stage: WebStage, _ language: String) async throws -> String {
        try await stage.team("acme", language: language, projects: ["shop", "blog"])
        for day in 0..<31 as Range<Int64> {
            for project in ["shop", "blog"] { try await stage.traffic(project, 200_000_000, atMs: stage.nowMs - day * 86_400_000) }
        }
        _ = try await stage.beginUpgrade()
        return try await stage.teamLink()
    }

    @Test("each customer page weighs less than 30 KB with all that it loads", arguments: ["fr", "en"])
    func weight(language: String) async throws {
        try await WebStage.with { stage in
            let payment = try await stage.order(language: language)
            let link = try await stage.link(to: payment)
            let inquiry = try await stage.inquire().inquiry
            let start = try await stage.form("\(link)/pay/feexpay", [("network", "mtn"), ("phone", "+2290166000003")])
            let push = try #require(start.headers["location"]?.dropFirst(WebStage.baseURL.count))
            let attempt = try #require(try await stage.attempts(of: payment).first?.id)
            let settings = try await team(stage, language)
            let paths = [
                "\(settings)&tab=plan", "\(settings)&tab=usage", "\(settings)&tab=payments", link, "\(link)?country=all", String(push),
                "/payments/feexpay/return/?attempt=\(attempt)", "/kit/checkout/\(inquiry)/", "/kit/inquiry/",
                "/pay/none",
            ]
            for path in paths {
                let page = try await stage.send("GET", path)
                var weight = page.body.count
                for piece in page.text.split(separator: "\"") where piece.hasPrefix("/assets/") || piece.hasPrefix("/js/") {
                    weight += try await stage.send("GET", String(piece)).body.count
                }
                #expect(weight < 30_000, "\(path): \(weight) bytes")
                try HTMLCheck.wellFormed(page.text)
            }
        }
    }
}
