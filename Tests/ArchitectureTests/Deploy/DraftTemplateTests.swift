import Formats
import TestSupport
import Testing

@Suite("Filling of draft templates")
struct DraftTemplateTests {
    private static let fixtures = "\(SourceTree.root)/Tests/Fixtures/python"
    private static let filler = "\(Script.python) -I deploy/docx/fill_template.py"
    private static let variables = [
        "organization_name", "contact_name", "email", "statut_juridique", "location", "sector", "mission_text", "context_text", "budget_range",
        "funding_sources", "audits_types", "audits_frequency", "staff_size", "org_chart_text", "notes_text", "generated_content", "documents_count",
    ]

    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func fill(_ template: String, _ values: JSON) async throws -> ScriptResult {
        let request: JSON = ["template": .string(template), "values": values]
        return try await Script.run("\(Self.filler) > \(folder.file("filled.docx"))", input: request.text)
    }

    private func filled() async throws -> JSON {
        let result = try await Script.run("\(Script.python) \(Self.fixtures)/docx_text.py \(folder.file("filled.docx"))")
        return try JSON(parsing: Array(result.output.utf8))
    }

    private func template(of text: String) async throws -> String {
        let path = folder.file("template.docx")
        let quoted = text.map { $0 == "'" ? "'\\''" : String($0) }.joined()
        #expect(try await Script.run("\(Script.python) \(Self.fixtures)/make_docx.py \(path) '\(quoted)'").status == 0)
        return path
    }

    private func kitTemplate() async throws -> String {
        let path = folder.file("kit.docx")
        #expect(try await Script.run("\(Script.python) deploy/docx/make_template.py \(path)").status == 0)
        return path
    }

    @Test("the template of the set-up has the kit's 17 variables and no other")
    func kitVariables() async throws {
        let request: JSON = ["template": .string(try await kitTemplate()), "check": true]
        let result = try await Script.run(Self.filler, input: request.text)
        let answer = try JSON(parsing: Array(result.output.utf8))
        #expect(answer["ok"]?.bool == true)
        #expect(answer["found"]?.array?.compactMap(\.string) == Self.variables.sorted())
        #expect(Self.variables.count == 17)
    }

    @Test("every value comes out where it belongs and exactly as it went in")
    func valuesAreLiteral() async throws {
        var values = JSONObject(Self.variables.map { ($0, JSON.string("<\($0)> & \"é\" {{ email }} {% if x %} {_{ a }_}")) })
        values["organization_name"] = "Été & Fils <SARL>"
        let template = try await kitTemplate()
        let result = try await fill(template, .object(values))
        #expect(result.status == 0, "\(result.errors)")
        let document = try await filled()
        let words = (document["paragraphs"]?.array ?? []) + (document["cells"]?.array ?? [])
        let everything = words.compactMap(\.string).joined(separator: "\n")
        for name in Self.variables where name != "organization_name" {
            let inBody = everything.contains("<\(name)> & \"é\" {{ email }} {% if x %} {_{ a }_}")
            let inFooter = document["footer"]?.string?.contains("<\(name)>") == true
            #expect(inBody || inFooter, "\(name) is missing")
        }
        #expect(document["header"]?.string == "Kit complet – Été & Fils <SARL>")
        #expect(document["title"]?.string == "Kit complet – Été & Fils <SARL>")
    }

    @Test("a line break stays one, a blank line starts a paragraph, control characters go")
    func breaks() async throws {
        let template = try await template(of: "{{ text }}")
        #expect(try await fill(template, ["text": "a\r\nb\n\n\nc\u{7}\u{c}\u{1b}d\u{0}"]).status == 0)
        #expect(try await filled()["paragraphs"]?.array?.compactMap(\.string) == ["a\nb", "cd"])
    }

    @Test("the same input gives the same bytes")
    func repeatable() async throws {
        let template = try await template(of: "{{ text }}")
        #expect(try await fill(template, ["text": "x"]).status == 0)
        let first = folder.read("filled.docx")
        #expect(try await fill(template, ["text": "x"]).status == 0)
        #expect(first != nil && folder.read("filled.docx") == first)
    }

    @Test(
        "a template cannot turn escaping off", arguments: ["{{ x|safe }}", "{% autoescape false %}{{ x }}{% endautoescape %}", "{{ x|upper|lower }}"])
    func alwaysEscaped(text: String) async throws {
        #expect(try await fill(try await template(of: text), ["x": "<b>&"]).status == 0)
        #expect(try await filled()["paragraphs"]?[0]?.string == "<b>&")
    }

    @Test(
        "a template's fault is told in one sentence with exit code 3, and no document is written",
        arguments: [
            ("{{ y }}", "'y' is undefined"), ("{{ x }} {{ y }", "unexpected"), ("{{ x.__class__ }}", "unsafe"),
            ("{% for i in range(10**9) %}a{% endfor %}", "Range too big"), ("{{ 1/0 }}", "ZeroDivisionError"),
        ])
    func templateFaults(text: String, reason: String) async throws {
        let result = try await fill(try await template(of: text), ["x": "1"])
        #expect(result.status == 3)
        #expect(result.errors.contains(reason) && !result.errors.contains("Traceback"), "\(result.errors)")
        #expect(folder.read("filled.docx") == [])
    }

    @Test(
        "wrong input is exit code 2",
        arguments: [
            "", "[]", "{\"template\":\"x\"}", "{\"values\":{}}", "{\"template\":\"x\",\"values\":{\"a b\":1}}",
            "{\"template\":\"x\",\"values\":{\"a\":NaN}}",
        ])
    func wrongInput(text: String) async throws {
        let result = try await Script.run(Self.filler, input: text)
        #expect(result.status == 2)
        #expect(result.errors.hasPrefix("fill_template: ") && !result.errors.contains("Traceback"))
    }
}
