#include <stdio.h>

int main(void) {
        puts("firesteel " FIRESTEEL_VERSION);
        return 0;
}
