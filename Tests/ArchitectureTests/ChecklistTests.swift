import Testing

@Suite("The checklist")
struct ChecklistTests {
    @Test("names only tests that exist")
    func testsExist() throws {
        let tests = try SourceTree.files(below: "Tests", ending: ".swift").map { try SourceTree.text($0) }.joined()
        let lines = try SourceTree.lines("docs/checklist.md").filter { $0.contains("| test |") }
        #expect(lines.count > 30)
        for line in lines {
            let shownBy = line.split(separator: "|").last.map { String($0).filter { $0 != "\n" } } ?? ""
            let name = shownBy.drop { $0 != "\"" }.dropFirst().prefix { $0 != "\"" }
            #expect(!name.isEmpty && tests.contains("\"\(name)\""), "\(line)")
        }
    }
}
