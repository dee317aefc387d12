#include "wire/client.hpp"

#include <catch2/catch.hpp>

using namespace parley;

TEST_CASE("a plain URL comes apart", "[wire]") {
    auto url = parse_url("HTTPS://API.Example.com/v1/x?y=z#part");
    REQUIRE(url);
    CHECK(url->scheme == "https");
    CHECK(url->host == "api.example.com");
    CHECK(url->port == 443);
    CHECK(url->path_and_query == "/v1/x?y=z");
    CHECK_FALSE(url->host_is_ip);
    CHECK(url->origin() == "https://api.example.com:443");

    auto query = parse_url("http://h?q");
    REQUIRE(query);
    CHECK(query->path_and_query == "/?q");
    CHECK(query->port == 80);
    CHECK(parse_url("http://localhost:7420")->origin() == "http://localhost:7420");

    auto four = parse_url("http://127.0.0.1:8080/");
    REQUIRE(four);
    CHECK(four->host_is_ip);
    CHECK(four->port == 8080);

    auto six = parse_url("http://[0:0::0:1]:81/a");
    REQUIRE(six);
    CHECK(six->host == "::1");
    CHECK(six->host_is_ip);
    CHECK(six->origin() == "http://[::1]:81");
    CHECK(parse_url("http://a_b.xn--bcher-kva.example/100%/")->host == "a_b.xn--bcher-kva.example");
    CHECK(parse_url("http://h/a@b")->host == "h");
}

TEST_CASE("a URL that somebody could read differently is refused", "[wire]") {
    auto text = GENERATE(
        as<std::string>(), "", "http", "http:", "http:/h", "http://", "http:///path", "//h/",
        "h/path", "://h", "ftp://h/", "file:///etc/passwd", "javascript:alert(1)", "gopher://h/",
        "http+unix://h/", "http://user@h/", "http://user:word@h/", "http://@h/", "http://h@evil/",
        "http://a:b@c:d@e/", "http://h\\@evil/", "http://h/\\evil", "http:\\\\h/", "http://h /",
        " http://h/", "http://h/ a", "http://h/\r\nX: y", "http://h/\t", "http://h\n/",
        "http://h/\x7f",
        "http://b\xc3\xbc"
        "cher/",
        "http://h/\xc3\xbc", "http://2130706433/", "http://0x7f000001/", "http://017700000001/",
        "http://127.1/", "http://0x7f.1/", "http://127.0.0.01/", "http://127.0.0.0x1/",
        "http://256.0.0.1/", "http://1.2.3.4.5/", "http://1.2.3.4./", "http://example.com./",
        "http://.example.com/", "http://a..b/", "http://-a.com/", "http://a-.com/", "http://h%41/",
        "http://h:0/", "http://h:65536/", "http://h:99999999999/", "http://h:/", "http://h:+80/",
        "http://h:80a/", "http://h:80:80/", "http://[::1/", "http://::1/", "http://[::1]x/",
        "http://[::1%25lo]/", "http://[127.0.0.1]/", "http://[]/", "http://[v1.x]/", "http://a,b/",
        "http://a!b/", "http://a*b/", "http://[::1]@evil/", "http://h;evil/", "http://h|evil/",
        "http://h<evil/", "http://h\"evil/", "http://h'evil/");
    INFO(text);
    auto url = parse_url(text);
    REQUIRE_FALSE(url);
    CHECK(url.error().fault == Fault::bad_input);
}

TEST_CASE("a URL with NUL, or one that is too long, is refused", "[wire]") {
    CHECK_FALSE(parse_url(std::string_view("http://h\0.evil/", 15)));
    CHECK_FALSE(parse_url("http://h/" + std::string(limits::url_bytes, 'a')));
    CHECK_FALSE(parse_url("http://" + std::string(64, 'a') + "/"));
    std::string host = "a";
    for (int i = 0; i < 130; ++i) host += ".a";
    CHECK_FALSE(parse_url("http://" + host + "/"));
}

TEST_CASE("addresses of nobody in particular are not public", "[wire]") {
    auto address = GENERATE(
        as<std::string>(), "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1",
        "100.100.100.200", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.0.1",
        "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1",
        "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "168.63.129.16",
        "::", "::1", "::2", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe", "::ffff:0:127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:20::1",
        "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1", "3fff::1", "fc00::1", "fd00:ec2::254",
        "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "4000::1", "fe80::1%eth0", "", "localhost",
        "example.com", "1", "127.1", "8.8.8.8 ", "08.8.8.8", "[2606:4700::1]");
    INFO(address);
    CHECK_FALSE(is_public_address(address));
}

TEST_CASE("addresses of the internet are public", "[wire]") {
    auto address = GENERATE(
        as<std::string>(), "8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255",
        "100.128.0.0", "126.255.255.255", "128.0.0.1", "172.15.255.255", "172.32.0.0", "192.0.1.1",
        "198.17.255.255", "198.20.0.0", "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::1",
        "2001:4860:4860::8888", "2003::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8");
    INFO(address);
    CHECK(is_public_address(address));
}

TEST_CASE("loopback is known in each of its forms", "[wire]") {
    for (auto const* address : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"})
        CHECK(is_loopback_address(address));
    for (auto const* address :
         {"128.0.0.1", "::2", "::", "0.0.0.0", "::ffff:10.0.0.1", "localhost", ""})
        CHECK_FALSE(is_loopback_address(address));
}
