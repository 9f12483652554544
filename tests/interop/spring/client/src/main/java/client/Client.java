package client;

import java.util.List;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.cloud.client.discovery.DiscoveryClient;
import org.springframework.cloud.context.config.annotation.RefreshScope;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** What any application of Spring Cloud does: its configuration from the one server, its place in
 * the other's registry. It speaks plain HTTP, and knows of no certificate. */
@SpringBootApplication
public class Client {
    @RestController
    @RefreshScope
    static class Greeting {
        @Value("${greeting}")
        private String greeting;

        @GetMapping("/greeting")
        public String greeting() {
            return greeting;
        }
    }

    @RestController
    static class Services {
        private final DiscoveryClient registry;

        Services(DiscoveryClient registry) {
            this.registry = registry;
        }

        @GetMapping("/services")
        public List<String> services() {
            return registry.getServices();
        }
    }

    public static void main(String[] arguments) {
        SpringApplication.run(Client.class, arguments);
    }
}
