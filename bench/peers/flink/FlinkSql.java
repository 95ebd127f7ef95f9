import java.nio.file.Files;
import java.nio.file.Path;
import java.lang.management.ManagementFactory;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs one file of Flink SQL statements in this JVM and prints wall and CPU seconds of the last
 * statement, which must be an INSERT over bounded input.
 *
 * Usage: FlinkSql FILE.sql PARALLELISM [key=value ...]
 */
public final class FlinkSql {
    public static void main(String[] arguments) throws Exception {
        Configuration configuration = new Configuration();
        configuration.setString("parallelism.default", arguments[1]);
        configuration.setString("pipeline.object-reuse", "true");
        configuration.setString("rest.bind-port", "0");
        for (int index = 2; index < arguments.length; index++) {
            String[] option = arguments[index].split("=", 2);
            configuration.setString(option[0], option[1]);
        }
        EnvironmentSettings settings =
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build();
        TableEnvironment tables = TableEnvironment.create(settings);
        for (String statement : Files.readString(Path.of(arguments[0])).split(";\\s*(\\n|$)")) {
            if (statement.isBlank()) {
                continue;
            }
            long wallBegan = System.nanoTime();
            long cpuBegan = processCpuNanos();
            TableResult result = tables.executeSql(statement);
            if (statement.strip().toUpperCase().startsWith("INSERT")) {
                result.await();
                System.out.printf(
                    "{\"wall_seconds\": %.3f, \"cpu_seconds\": %.3f}%n",
                    (System.nanoTime() - wallBegan) / 1e9, (processCpuNanos() - cpuBegan) / 1e9);
            }
        }
    }

    private static long processCpuNanos() {
        var bean = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return bean.getProcessCpuTime();
    }
}
