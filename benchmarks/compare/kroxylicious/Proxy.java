import io.kroxylicious.proxy.KafkaProxy;
import io.kroxylicious.proxy.config.ConfigParser;
import io.kroxylicious.proxy.internal.config.Features;
import java.nio.file.Files;
import java.nio.file.Path;

// Runs the proxy until the standard input ends, so that it does not outlive
// the program that has started it. The jar with the proxy's own main class is
// not among those that can be had.
class Proxy {
    public static void main(String[] args) throws Exception {
        var parser = new ConfigParser();
        var config = parser.parseConfiguration(Files.readString(Path.of(args[0])));
        new KafkaProxy(parser, config, Features.defaultFeatures()).startup();
        System.out.println("ready");
        System.in.readAllBytes();
        Runtime.getRuntime().halt(0);
    }
}
