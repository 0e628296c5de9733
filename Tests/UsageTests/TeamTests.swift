import Database
import Formats
import Teams
import TestSupport
import Testing

@Suite("Teams")
struct TeamTests {
}
