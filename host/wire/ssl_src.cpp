// Asio's TLS half is compiled once, here; the other half is in base.
#include <boost/asio/ssl/impl/src.hpp>
