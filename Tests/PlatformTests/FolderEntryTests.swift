import Formats
import TestSupport
import Testing

@Suite("Entries of folders")
struct FolderEntryTests {
    @Test("names are whole, of every length, hidden ones too, without the folder itself and the one above")
    func names() throws {
        let folder = try TemporaryFolder("entries")
        let names = (1...255).map { String(repeating: "n", count: $0) } + [".hidden", "..double", "été 1"]
        for name in names { try folder.write("", to: name) }
        #expect(FolderEntry.names(in: folder.path) == names.sorted())
        #expect(folder.list(".") == names.sorted())
        #expect(FolderEntry.names(in: folder.file("nowhere")) == nil)
    }
}
