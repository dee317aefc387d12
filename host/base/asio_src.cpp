// Asio is compiled once, here (BOOST_ASIO_SEPARATE_COMPILATION); TLS and Beast belong to wire.
#include <boost/asio/impl/src.hpp>
