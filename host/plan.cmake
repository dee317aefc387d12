# The house plan: which room may see which, and who holds the key to which outside library.
# Read twice: host/CMakeLists.txt makes a library of each room, and host/plan_check.cmake fails the
# build on an #include that is not granted here. Lower floors first.
#
#   room(NAME USES rooms… DOORS outside headers… LINKS targets…)

room(base                                           DOORS boost/json boost/asio boost/assert sodium date
     LINKS Boost::json PkgConfig::sodium date::date-tz)
room(trace    USES base                             DOORS spdlog            LINKS spdlog::spdlog)
room(config   USES base                             DOORS yaml-cpp          LINKS yaml-cpp)
room(ledger   USES base                             DOORS rocksdb sodium    LINKS RocksDB::rocksdb-shared)
room(vault    USES base                             DOORS sodium)
room(wire     USES base                             DOORS boost/asio boost/beast boost/system openssl curl
     LINKS OpenSSL::SSL)
room(plugin   USES base config wire                 DOORS boost/asio boost/system)
room(check    USES base plugin)
room(channel  USES base config ledger plugin)
room(gate     USES base config ledger)
room(session  USES base config ledger)
room(provider USES base config plugin)
room(permit   USES base config ledger plugin)
room(skill    USES base config plugin)
room(hook     USES base config plugin)
room(turn     USES base)
room(inbound  USES base config wire plugin)
room(flow     USES base config ledger plugin channel gate session provider permit skill hook turn)
room(control  USES base config ledger vault wire plugin channel session permit flow)
room(cli      USES base config ledger vault wire plugin check DOORS CLI)
room(daemon   USES base trace config ledger vault wire plugin channel gate session provider permit
                   skill hook turn inbound flow control cli DOORS boost/asio)
