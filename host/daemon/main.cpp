// parley: host, client and tools in one program.
#include "cli/cli.hpp"
#include "daemon/daemon.hpp"

int main(int argc, char** argv) {
    return parley::run_cli(argc, argv,
                           {parley::run_host, parley::plugin_folder(), parley::worker_program(),
                            parley::check_program(), parley::template_folder(),
                            parley::schema_folder(), parley::price_table()});
}
